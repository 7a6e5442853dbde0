//! Settings: flag, then `HOLDFAST_*`, then file, then default; and what hangs from them: folders, node, wallet.

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use etcetera::BaseStrategy as _;
use holdfast_primitives::NetworkPrefix;
use holdfast_rpc::RpcClient;
use holdfast_wallet::{Keystore, RememberedHeavies, Session, Turn, Words, urls_of};
use serde::{Deserialize, Serialize};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The port a heavy node answers on unless told otherwise.
pub const RPC_PORT: u16 = 7450;
/// The UDP port on which validators expect each other's gossip, and light nodes, unless told otherwise.
pub const NODE_PORT: u16 = 7451;
/// The TCP port on which validators expect each other's consensus unless told otherwise.
pub const CONSENSUS_PORT: u16 = 7452;

/// The configuration file. Unknown keys are errors that name the line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: Option<String>,
    rpc: Option<String>,
    data_dir: Option<PathBuf>,
    wallet: Option<String>,
}

/// One setting and where it came from.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    /// Its name.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// `flag`, `HOLDFAST_...`, a file's path, or `default`.
    pub origin: String,
}

/// Everything a command needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Context {
    /// How results are shown.
    pub output: Output,
    /// Settings in force.
    pub settings: Vec<Setting>,
    /// `-v` count.
    pub verbose: u8,
    password_file: Option<PathBuf>,
    password_command: Option<String>,
}

impl Context {
    /// Resolves the settings.
    pub fn new(global: Global) -> Result<Self, Failure> {
        let output = Output { json: global.json, quiet: global.quiet };
        let path = match &global.config {
            Some(path) => Some(path.clone()),
            None => {
                base_dirs()?.map(|dirs| dirs.config_dir().join("holdfast/config.toml")).filter(|path| path.exists())
            }
        };
        let file = path.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let origin = path.map_or_else(|| "default".to_owned(), |path| path.display().to_string());
        let pick = |key, given: Option<String>, from_file: Option<String>, default: String| {
            let variable = format!("HOLDFAST_{}", key_upper(key));
            match (given, from_file) {
                (Some(value), _) if std::env::var(&variable).is_ok_and(|set| set == value) => {
                    Setting { key, value, origin: variable }
                }
                (Some(value), _) => Setting { key, value, origin: "flag".to_owned() },
                (None, Some(value)) => Setting { key, value, origin: origin.clone() },
                (None, None) => Setting { key, value: default, origin: "default".to_owned() },
            }
        };
        let network = pick("network", global.network, file.network, "devnet".to_owned());
        let rpc =
            pick("rpc", (!global.rpc.is_empty()).then(|| global.rpc.join(",")), file.rpc, default_rpc(&network.value));
        let text = |path: PathBuf| path.display().to_string();
        let data_dir = pick("data_dir", global.data_dir.map(text), file.data_dir.map(text), text(default_data_dir()?));
        let wallet = pick("wallet", global.wallet, file.wallet, "default".to_owned());
        Ok(Self {
            output,
            settings: vec![network, rpc, data_dir, wallet],
            verbose: global.verbose,
            password_file: global.password_file,
            password_command: global.password_command,
        })
    }

    fn setting(&self, key: &str) -> &str {
        let found = self.settings.iter().find(|setting| setting.key == key);
        &found.expect("every key is set when the context is made").value
    }

    /// The network's name, or `custom` when it was given as a URL.
    pub fn network(&self) -> &str {
        let name = self.setting("network");
        if name.contains("://") { "custom" } else { name }
    }

    /// Which prefix the network's addresses carry, where its name tells.
    pub fn prefix(&self) -> Option<NetworkPrefix> {
        match self.network() {
            "devnet" => Some(NetworkPrefix::Devnet),
            "testnet" => Some(NetworkPrefix::Testnet),
            "mainnet" => Some(NetworkPrefix::Mainnet),
            _ => None,
        }
    }

    /// The URL of the node to talk to; several have commas between them.
    pub fn rpc_url(&self) -> &str {
        self.setting("rpc")
    }

    /// The folder of this network's data.
    pub fn data_dir(&self) -> PathBuf {
        Path::new(self.setting("data_dir")).join(self.network())
    }

    /// The wallets of this network.
    pub fn keystore(&self) -> Keystore {
        Keystore::new(self.data_dir().join("wallets"))
    }

    /// The name of the wallet to use.
    pub fn wallet_name(&self) -> &str {
        self.setting("wallet")
    }

    /// A connection to the node.
    pub fn rpc(&self) -> Result<RpcClient, Failure> {
        if self.rpc_url().is_empty() {
            let message = format!("no heavy node is known for network {}", self.network());
            return Err(Failure::new(Exit::Usage, "no-node", message).hint("name one with --rpc URL"));
        }
        let rpc = RpcClient::connect(self.rpc_url())?;
        rpc.learn(&urls_of(&self.remembered().read()));
        Ok(rpc)
    }

    /// Heavy nodes that were learned of through the named ones.
    pub fn remembered(&self) -> RememberedHeavies {
        RememberedHeavies::at(self.data_dir().join("heavies.json"), Some(self.rpc_url().to_owned()))
    }

    /// Opens the wallet with its password.
    pub fn unlock(&self) -> Result<Words, Failure> {
        let name = self.wallet_name();
        let keystore = self.keystore();
        keystore.show(name)?;
        let password = self.password(&format!("Password of wallet {name}"), false)?;
        Ok(keystore.open(name, &password)?)
    }

    /// The wallet at work: opened with its password, and alone until the session ends.
    pub async fn session(&self) -> Result<Session, Failure> {
        self.session_of(&self.unlock()?).await
    }

    /// As [`Context::session`], for words that are known already.
    pub async fn session_of(&self, words: &Words) -> Result<Session, Failure> {
        let turn = self.turn().await?;
        Ok(Session::connect(self.rpc()?, self.remembered(), words, turn).await?)
    }

    /// Waits until no other command acts for the wallet, and says so if it takes waiting.
    pub async fn turn(&self) -> Result<Turn, Failure> {
        let (keystore, name, output) = (self.keystore(), self.wallet_name().to_owned(), self.output);
        let (taken, turn) = tokio::sync::oneshot::channel();
        // A thread of its own: whoever interrupts the waiting would have to wait for a thread of the runtime.
        std::thread::spawn(move || {
            let waiting = || output.note(format!("waiting for another command of wallet {name} to end"));
            // When nobody wants it any more, the turn is dropped here.
            let _ = taken.send(keystore.take_turn(&name, waiting));
        });
        Ok(turn.await.map_err(Failure::other)??)
    }

    /// The wallet's password: from a file, a command, or asked. Never from a flag.
    pub fn password(&self, prompt: &str, confirm: bool) -> Result<Zeroizing<String>, Failure> {
        if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::other(format!("{}: {error}", path.display())))?;
            return Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        if let Some(command) = &self.password_command {
            return password_from_command(command);
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new(
                Exit::Locked,
                "no-password",
                "the wallet's password is needed, and nobody can be asked",
            )
            .hint("set HOLDFAST_PASSWORD_FILE or HOLDFAST_PASSWORD_COMMAND"));
        }
        let mut ask = dialoguer::Password::new().with_prompt(prompt);
        if confirm {
            ask = ask.with_confirmation("Once more", "The two differ");
        }
        ask.interact().map(Zeroizing::new).map_err(Failure::other)
    }

    /// Asks yes or no; `no` when nobody can be asked.
    pub fn agree(&self, question: &str) -> Result<bool, Failure> {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new(Exit::Usage, "not-confirmed", "this spends money, and nobody can be asked")
                .hint("agree beforehand with --yes, best together with --max-price"));
        }
        dialoguer::Confirm::new().with_prompt(question).default(false).interact().map_err(Failure::other)
    }
}

impl Context {
    /// Has the name of what is to be destroyed typed; `Ok` only when it was.
    pub fn confirm_by_name(&self, verb: &str, name: &str) -> Result<(), Failure> {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new(
                Exit::Usage,
                "not-confirmed",
                format!("this would {verb} {name:?}, and nobody can be asked"),
            )
            .hint("agree beforehand with --yes"));
        }
        let prompt = format!("This will {verb} it for good. Type {name:?} to go on");
        let typed: String =
            dialoguer::Input::new().with_prompt(prompt).allow_empty(true).interact_text().map_err(Failure::other)?;
        if typed == name {
            return Ok(());
        }
        Err(Failure::new(Exit::Failed, "declined", format!("that is not {name:?}; nothing was changed")))
    }
}

fn key_upper(key: &str) -> String {
    key.to_ascii_uppercase()
}

fn read_file(path: &Path) -> Result<File, Failure> {
    let named =
        |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, "bad-config", format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
    toml::from_str(&text).map_err(|error| named(&error).hint("known keys: network, rpc, data_dir, wallet"))
}

fn default_rpc(network: &str) -> String {
    if network.contains("://") {
        return network.to_owned();
    }
    match network {
        "devnet" => format!("http://127.0.0.1:{RPC_PORT}"),
        _ => String::new(),
    }
}

fn base_dirs() -> Result<Option<impl etcetera::BaseStrategy>, Failure> {
    Ok(etcetera::choose_base_strategy().ok())
}

fn default_data_dir() -> Result<PathBuf, Failure> {
    match base_dirs()? {
        Some(dirs) => Ok(dirs.data_dir().join("holdfast")),
        None => Err(Failure::usage("no home folder is known").hint("say where data goes with --data-dir DIR")),
    }
}

fn password_from_command(command: &str) -> Result<Zeroizing<String>, Failure> {
    let output =
        std::process::Command::new("sh").arg("-c").arg(command).stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(Failure::new(
            Exit::Locked,
            "no-password",
            format!("the password command failed: {}", output.status),
        ));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| Failure::other("the password command printed no text"))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
