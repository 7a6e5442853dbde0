//! A data folder serves one process, one chain and one disk format. Whoever gets it wrong is told, and nothing is written.

use crate::common::{Person, Running, devnet, rpc, wait_for};
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every file below a folder, but for locks, in which whoever comes notes its number.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else if path.file_name().unwrap() != "LOCK" {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}

/// Makes a format file say that a later release wrote it: the version stands in bytes 8 to 12, and the SHA-256 of all
/// before it at the end.
fn from_the_future(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.truncate(bytes.len() - 32);
    let version = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
    bytes[8..12].copy_from_slice(&(version + 1).to_le_bytes());
    bytes.extend_from_slice(&sha2::Sha256::digest(&bytes));
    std::fs::write(path, bytes).unwrap();
}

/// A heavy node's folder with two genesis files of which it knows one.
struct Node {
    folder: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let node = Self { folder: tempfile::tempdir().unwrap() };
        let nobody = Person::new(node.folder.path(), "http://127.0.0.1:1");
        for genesis in ["own.toml", "other.toml"] {
            nobody.ask(&["genesis", "new", "--dir", &node.dir(), "--out", &node.path(genesis)]);
        }
        node
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn dir(&self) -> String {
        self.path("node")
    }

    fn words(&self, genesis: &str) -> [String; 7] {
        ["heavy", "--dir", &self.dir(), "--genesis", &self.path(genesis), "--rpc-listen", "127.0.0.1:0"]
            .map(str::to_owned)
    }

    fn start(&self) -> Running {
        Running::start(&self.words("own.toml").each_ref().map(String::as_str)).unwrap()
    }

    /// The start fails with this code and a way out; unless a process works there, not one byte in the folder changes.
    fn refused(&self, genesis: &str, code: &str, message: &str, idle: bool) {
        let before = idle.then(|| contents(Path::new(&self.dir())));
        let (exit, error) = Running::refused(&self.words(genesis).each_ref().map(String::as_str));
        assert_eq!((exit, error["code"].as_str().unwrap()), (1, code), "{error}");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("--dir"), "{error}");
        assert!(
            before.is_none_or(|before| before == contents(Path::new(&self.dir()))),
            "{code}: something was written"
        );
    }
}

#[test]
fn a_heavy_nodes_folder_serves_one_process_one_chain_and_one_format() {
    let node = Node::new();
    let first = node.start();
    let height = || {
        let asked = Person::new(&node.folder.path().join("asker"), rpc(&first)).ask(&["status", "--short"]);
        asked["chain"]["height"].as_u64().filter(|height| *height > 0)
    };
    let height = wait_for("a first block", height);
    node.refused("own.toml", "dir-in-use", &first.pid().to_string(), false);
    first.kill();
    node.refused("other.toml", "other-chain", "holds chain", true);

    let format = Path::new(&node.dir()).join("chain/FORMAT");
    let written = std::fs::read(&format).unwrap();
    from_the_future(&format);
    node.refused("own.toml", "unknown-format", "use a newer release", true);
    std::fs::write(&format, &written[..written.len() - 1]).unwrap();
    node.refused("own.toml", "unknown-format", "damaged", true);

    std::fs::write(&format, &written).unwrap();
    let again = node.start();
    assert!(again.said["height"].as_u64().unwrap() >= height, "nothing was lost meanwhile");
}

#[test]
fn a_holders_folder_serves_one_process_and_one_format() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "1", "--quota", "64MiB", "--price", "1000HOLD"]);
    let dir = network.said["holders"][0]["dir"].as_str().unwrap().to_owned();
    let asker = Person::new(&folder.path().join("asker"), rpc(&network));
    let offer = || {
        let holder = asker.ask(&["hold", "earnings", "0"]);
        (holder["price"].clone(), holder["quota_bytes"].clone())
    };
    let promised = offer();
    let second = ["hold", "--dir", &dir, "--quota", "32MiB", "--price", "1HOLD", "--rpc", rpc(&network)];
    let (exit, error) = Running::refused(&second);
    assert_eq!((exit, error["code"].as_str().unwrap()), (1, "dir-in-use"), "{error}");
    assert!(error["message"].as_str().unwrap().contains(&network.pid().to_string()), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("--dir"), "{error}");
    assert_eq!(offer(), promised, "who was refused changed nothing on the ledger");

    network.kill();
    from_the_future(&Path::new(&dir).join("vault/VAULT"));
    let before = contents(Path::new(&dir));
    let network = folder.path().join("network").display().to_string();
    let (exit, error) =
        Running::refused(&["devnet", "--rpc-listen", "127.0.0.1:0", "--dir", &network, "--holders", "1"]);
    assert_eq!((exit, error["code"].as_str().unwrap()), (1, "unknown-format"), "{error}");
    assert!(error["message"].as_str().unwrap().contains("use a newer release"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("--dir"), "{error}");
    assert_eq!(contents(Path::new(&dir)), before, "nothing was written");
}
