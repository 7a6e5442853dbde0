//! Four validators, each a process that a test may kill, start again and start in another way.

use crate::common::{HOLDFAST, Person, Running, wait_for};
use holdfast_ledger::Genesis;
use holdfast_network::NodeAddr;
use holdfast_primitives::{Address, Amount, Height, NetworkPrefix, SecretKey};
use holdfast_rpc::RpcClient;
use holdfast_rpc::chain::{BlockRef, HeaderView};
use holdfast_wallet::{Signer, Words};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a validator says in its log about another that signed two statements of one kind.
pub const TWO_THINGS: &str = "said two things of which it may say only one";

/// A network of four validators. Its accounts are those of a devnet.
pub struct Four {
    folder: PathBuf,
    genesis: PathBuf,
    words: Words,
    pub seats: Vec<Seat>,
    runtime: tokio::runtime::Runtime,
}

/// One validator: where it lives and listens, and its process while it runs.
pub struct Seat {
    pub dir: PathBuf,
    pub address: Address,
    /// Its standard error, which outlives its folder.
    log: PathBuf,
    rpc: SocketAddr,
    udp: SocketAddr,
    consensus: SocketAddr,
    /// Words that its next start adds.
    pub extra: Vec<String>,
    running: Option<Child>,
}

impl Four {
    /// Makes keys, genesis and folders as a devnet does, without starting anybody for long.
    pub fn found(folder: &Path, round: &str) -> Self {
        Self::found_with_holders(folder, round, 0)
    }

    /// The same with holders that have joined, in the folders `network/holder-0` and so on; none of them runs.
    pub fn found_with_holders(folder: &Path, round: &str, holders: usize) -> Self {
        let dir = folder.join("network");
        let text = dir.display().to_string();
        let words = ["devnet", "--rpc-listen", "127.0.0.1:0", "--dir", &text, "--round", round];
        let devnet =
            Running::start(&[&words[..], &["--validators", "4", "--holders", &holders.to_string()]].concat()).unwrap();
        let said = devnet.said.clone();
        devnet.kill();
        let others = said["validators"].as_array().unwrap().iter().map(|other| &other["address"]);
        let addresses = [&said["heavy"]].into_iter().chain(others);
        let seats = addresses.enumerate().map(|(index, address)| {
            let name = if index == 0 { "heavy".to_owned() } else { format!("heavy-{index}") };
            let address = Address::from_text(address.as_str().unwrap(), NetworkPrefix::Devnet).unwrap();
            Seat::new(dir.join(name), address, folder.join(format!("log-{index}")))
        });
        Self {
            folder: folder.to_owned(),
            genesis: dir.join("genesis.toml"),
            words: Words::parse(said["words"].as_str().unwrap()).unwrap(),
            seats: seats.collect(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    /// Starts all that do not run; returns when all answer.
    pub fn start_all(&mut self) {
        for index in 0..self.seats.len() {
            if self.seats[index].running.is_none() {
                self.start(index);
            }
        }
    }

    /// Starts one and waits until it answers. Its folder or port may be in use for another moment.
    pub fn start(&mut self, index: usize) {
        wait_for("a validator starts", || self.try_start(index).ok());
    }

    fn try_start(&mut self, index: usize) -> Result<(), ExitStatus> {
        let mut child = self.command(index).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        if reader.read_line(&mut String::new()).unwrap() == 0 {
            return Err(child.wait().unwrap());
        }
        // Whoever reads no further would block the process once the pipe is full.
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        self.seats[index].running = Some(child);
        Ok(())
    }

    fn command(&self, index: usize) -> Command {
        let seat = &self.seats[index];
        let log = File::options().create(true).append(true).open(&seat.log).unwrap();
        let mut command = Command::new(HOLDFAST);
        command.args(["heavy", "--json", "--until-stdin-closes", "--rpc-listen", &seat.rpc.to_string()]);
        command.arg("--dir").arg(&seat.dir).arg("--genesis").arg(&self.genesis);
        command.args(["--listen", &seat.udp.to_string(), "--consensus-listen", &seat.multiaddr()]).args(&seat.extra);
        for (_, other) in self.seats.iter().enumerate().filter(|(other, _)| *other != index) {
            let node = NodeAddr::new(other.address, vec![other.udp], None).unwrap().to_string();
            command.args(["--peer", &node, "--consensus-peer", &other.multiaddr()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        command
    }

    /// kill -9, all at once.
    pub fn kill(&mut self, indices: &[usize]) {
        for index in indices {
            self.seats[*index].running.as_mut().unwrap().kill().unwrap();
        }
        for index in indices {
            self.seats[*index].running.take().unwrap().wait().unwrap();
        }
    }

    /// Starts one and kills it so soon that it may not have answered yet.
    pub fn stumble(&mut self, index: usize, after: Duration) {
        let mut child = self.command(index).spawn().unwrap();
        pass(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for a validator to end by itself.
    pub fn ended(&mut self, index: usize) -> ExitStatus {
        let running = self.seats[index].running.as_mut().unwrap();
        let status = wait_for("a validator ends by itself", || running.try_wait().unwrap());
        self.seats[index].running = None;
        status
    }

    /// Whether one has ended by itself.
    pub fn has_ended(&mut self, index: usize) -> bool {
        self.seats[index].running.as_mut().is_none_or(|running| running.try_wait().unwrap().is_some())
    }

    pub fn url(&self, index: usize) -> String {
        format!("http://{}", self.seats[index].rpc)
    }

    /// The key of a funded account.
    pub fn account(&self, number: u32) -> SecretKey {
        self.words.signing_key(number)
    }

    /// The owner of the first funded account, who asks one of the validators.
    pub fn owner(&self, index: usize) -> Person {
        let person = Person::new(&self.folder.join("owner"), &self.url(index));
        if !person.folder.join("data").exists() {
            let imported = person.run_with(&["wallet", "import"], &self.words.reveal());
            assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
        }
        person
    }

    /// Where a validator stands; none while it cannot be asked.
    pub fn height(&self, index: usize) -> Option<Height> {
        let client = RpcClient::connect(&self.url(index)).unwrap();
        self.runtime.block_on(async { Some(client.chain_status().await.ok()?.height) })
    }

    /// The highest height that anyone has.
    pub fn highest(&self) -> Height {
        (0..self.seats.len()).filter_map(|index| self.height(index)).max().unwrap()
    }

    /// Waits until all four have what the highest has now.
    pub fn level(&self) -> Height {
        let wanted = self.highest();
        for index in 0..self.seats.len() {
            wait_for(&format!("validator {index} has height {wanted}"), || {
                self.height(index).filter(|height| *height >= wanted)
            });
        }
        wanted
    }

    /// Moves some money through the first validator: one block at least.
    pub fn transfer(&self) {
        self.runtime.block_on(async {
            let signer = Signer::connect(&self.url(0), self.account(0)).await.unwrap();
            let transfer = signer.transfer(self.account(1).address(), Amount::hold(1), b"").await.unwrap();
            signer.submit_and_wait(&transfer).await.unwrap();
        });
    }

    /// Whose turn it is to propose the next height first, once all have the same: with equal stakes the validators take
    /// turns in the order of their addresses.
    pub fn next_proposer(&self) -> usize {
        let mut order: Vec<usize> = (0..self.seats.len()).collect();
        order.sort_by_key(|index| self.seats[*index].address);
        order[self.level().next().get() as usize % order.len()]
    }

    /// How many transactions wait for a block at one validator, by its own counter.
    pub fn waiting(&self, index: usize) -> u64 {
        let mut stream = TcpStream::connect(self.seats[index].rpc).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let counted = text.lines().filter(|line| !line.starts_with('#') && line.contains("mempool_transactions"));
        counted
            .filter_map(|line| line.split_whitespace().last()?.parse().ok())
            .next()
            .unwrap_or_else(|| panic!("{text}"))
    }

    /// How far a block's time may lie ahead of a voter's clock.
    pub fn drift_ms(&self) -> u64 {
        let client = RpcClient::connect(&self.url(0)).unwrap();
        let genesis: Genesis = self.runtime.block_on(client.chain_genesis()).unwrap().raw.decode().unwrap();
        genesis.params.clock_drift_ms
    }

    /// The header of a block, from the first validator.
    pub fn header(&self, height: Height) -> HeaderView {
        let client = RpcClient::connect(&self.url(0)).unwrap();
        self.runtime.block_on(client.chain_block(BlockRef::Height(height))).unwrap().header
    }

    /// Compares every block of all four, byte by byte, and applies the chain of each again from its genesis. Returns the
    /// height up to which that was done and all transactions.
    pub fn agreed(&self) -> (Height, BTreeSet<String>) {
        let common = self.level();
        let clients: Vec<_> = (0..4).map(|index| RpcClient::connect(&self.url(index)).unwrap()).collect();
        let txs = self.runtime.block_on(async {
            let mut txs = BTreeSet::new();
            for height in 1..=common.get() {
                let at = BlockRef::Height(Height::new(height));
                let block = clients[0].chain_block_raw(at).await.unwrap();
                for other in &clients[1..] {
                    assert_eq!(other.chain_block_raw(at).await.unwrap(), block, "height {height}");
                }
                txs.extend(clients[0].chain_block(at).await.unwrap().txs.iter().map(|tx| tx.id.to_string()));
            }
            txs
        });
        let verdicts: Vec<Value> = (0..4).map(|index| self.replayed(index, common)).collect();
        assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{verdicts:?}");
        for index in 0..4 {
            assert!(!self.log(index).contains(TWO_THINGS), "nobody signed two things: {}", self.log(index));
        }
        (common, txs)
    }

    /// What a validator's blocks come to, with every grain counted.
    fn replayed(&self, index: usize, height: Height) -> Value {
        let auditor = Person::new(&self.folder.join("auditor"), &self.url(index));
        let verdict = auditor.ask(&["audit", "chain", "--to", &height.to_string()]);
        assert!(verdict["supply"].as_str().is_some_and(|supply| supply != "0"), "{verdict}");
        serde_json::json!([verdict["height"], verdict["block"], verdict["state_root"], verdict["supply"]])
    }

    /// Everything that a validator said on its standard error.
    pub fn log(&self, index: usize) -> String {
        std::fs::read_to_string(&self.seats[index].log).unwrap_or_default()
    }
}

/// Lets time pass: what is waited for is nothing else.
pub fn pass(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

impl Seat {
    /// On free ports, which nobody else is likely to be given so soon.
    fn new(dir: PathBuf, address: Address, log: PathBuf) -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let tcp = || TcpListener::bind(anywhere).unwrap();
        let (rpc, consensus, udp) = (tcp(), tcp(), UdpSocket::bind(anywhere).unwrap());
        Self {
            dir,
            address,
            log,
            rpc: rpc.local_addr().unwrap(),
            udp: udp.local_addr().unwrap(),
            consensus: consensus.local_addr().unwrap(),
            extra: Vec::new(),
            running: None,
        }
    }

    fn multiaddr(&self) -> String {
        format!("/ip4/{}/tcp/{}", self.consensus.ip(), self.consensus.port())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            let _ = running.kill();
            let _ = running.wait();
        }
    }
}
