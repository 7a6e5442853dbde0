//! Every console block of the README, run line by line against a devnet.

use crate::common::{HOLDFAST, Running};
use std::path::Path;
use std::process::Command;

/// The lines that a reader is told to type.
fn lines(readme: &str) -> Vec<String> {
    let blocks = readme.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(|block| block.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned)).collect()
}

#[test]
fn the_readme_can_be_followed_to_the_letter() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let script = lines(&readme);
    assert!(script.len() > 15, "the README tells what to type");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("network").display().to_string();
    // As many holders as a segment has pieces, so that holder 0 has something to prove.
    let words = ["devnet", "--rpc-listen", "127.0.0.1:0", "--dir", &dir, "--round", "4s", "--holders", "6"];
    let devnet = Running::start(&words).unwrap();
    let program = Path::new(HOLDFAST).parent().unwrap().display().to_string();
    let path = format!("{program}:{}", std::env::var("PATH").unwrap());
    // An audit needs a settled round that had something to prove.
    let wait = r#"until holdfast status --short --json | grep -q '"paid": "[1-9]'; do sleep 0.5; done"#;
    let script =
        script.join("\n").replacen("holdfast audit round latest", &format!("{wait}\nholdfast audit round latest"), 1);
    let output = Command::new("bash")
        .args(["-euxo", "pipefail", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("HOLDFAST_RPC", devnet.said["rpc"].as_str().unwrap())
        .env("HOLDFAST_DATA_DIR", folder.path().join("data"))
        .env_remove("HOLDFAST_NETWORK")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(std::fs::read(folder.path().join("slice.bin")).unwrap().len(), 1_000);
}
