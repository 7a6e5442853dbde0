//! Garbage on every port of a running network: hundreds of megabytes of noise, half requests and lies about lengths. It goes on
//! as before, and what it has in memory says that it kept none of it.

use crate::common::{Person, devnet, noise, rpc, wait_for};
use crate::process::{Ports, resident_bytes};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream, UdpSocket};
use std::time::Duration;

const MIB: usize = 1 << 20;
/// How often everything is thrown, with other noise each time.
const TURNS: u64 = 3;
const DATAGRAMS: usize = 1_500;
/// What memory may grow by. The garbage is more than five times that. What may stay: one request at its limit (8 MiB) with its parsed
/// form for as long as it is answered, freed pages that the allocator keeps, and what a minute of blocks leaves in caches.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

fn dial(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    // Whoever does not read must not hold this test up.
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Sends all that is taken and hangs up; returns how much that was.
fn throw(port: u16, bytes: &[u8]) -> usize {
    let mut stream = dial(port);
    let sent = bytes.chunks(64 * 1024).take_while(|piece| stream.write_all(piece).is_ok()).map(<[u8]>::len).sum();
    let _ = stream.shutdown(Shutdown::Both);
    sent
}

/// What no server should choke on, whatever it speaks.
fn tcp_garbage(seed: u64) -> Vec<Vec<u8>> {
    let after = |head: &str, bytes: usize| [head.as_bytes(), &noise(bytes, seed)].concat();
    let post = |headers: &str, bytes| after(&format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n"), bytes);
    let upgrade = |path: &str, protocol: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nupgrade: {protocol}\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    // A WebSocket frame, a libp2p message and a TLS record that each announce far more than comes.
    let endless_frame = [&b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"[..], &noise(MIB, seed)].concat();
    let endless_message =
        [&b"\x13/multistream/1.0.0\n\xff\xff\xff\xff\xff\xff\xff\xff\x7f"[..], &noise(MIB, seed)].concat();
    let endless_record = [&b"\x16\x03\x01\xff\xff\x01\xff\xff\xff"[..], &noise(MIB, seed)].concat();
    vec![
        Vec::new(),
        noise(1, seed),
        noise(100, seed),
        noise(4 * MIB, seed),
        vec![0; 4 * MIB],
        b"GET / HT".to_vec(),
        after("GET /", 4 * MIB),
        format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(4 * MIB)).into_bytes(),
        format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(500_000)).into_bytes(),
        post("content-length: 18446744073709551615", MIB),
        post("content-length: -1", MIB),
        post("content-length: 12582912", 12 * MIB),
        post("content-length: 1048576", 100),
        post("transfer-encoding: chunked\r\n\r\nffffffffffffffff", 4 * MIB),
        [upgrade("/", "websocket").into_bytes(), endless_frame.clone()].concat(),
        [upgrade("/relay", "websocket").into_bytes(), endless_frame].concat(),
        after(&upgrade("/relay", "iroh derp http"), MIB),
        endless_message,
        endless_record,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".iter().copied().chain(noise(MIB, seed)).collect(),
    ]
}

/// Datagrams of every length; every second one looks like the begin of a QUIC connection whose lengths lie.
fn throw_datagrams(port: u16, seed: u64) -> usize {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let source = noise(128 * 1024, seed);
    let mut sent = 0;
    for (index, lot) in noise(DATAGRAMS * 2, seed).chunks(2).enumerate() {
        let length = usize::from(u16::from_le_bytes([lot[0], lot[1]])).min(65_507) >> (index % 4 * 3);
        let mut bytes = source[index..index + length].to_vec();
        let head = b"\xc3\x00\x00\x00\x01\x14";
        if index % 2 == 0 && length > head.len() {
            bytes[..head.len()].copy_from_slice(head);
        }
        // A full buffer drops it, as networks do.
        sent += socket.send_to(&bytes, (Ipv4Addr::LOCALHOST, port)).unwrap_or(0);
    }
    sent
}

/// One POST; its status and body, or `None` when the server hung up on it.
fn post(port: u16, body: &[u8]) -> Option<(u16, String)> {
    let mut stream = dial(port);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

/// Requests that are HTTP and yet nonsense are answered with an error that says so.
fn nonsense_is_answered(port: u16) {
    let call = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"chain_status","params":{params}}}"#);
    let bottomless = "[".repeat(4 * MIB);
    let objects = r#"{"a":"#.repeat(MIB);
    let batch = |calls: usize| format!("[{}]", vec![call("[]"); calls].join(","));
    let nonsense = [
        bottomless.clone(),
        call(&bottomless),
        objects.clone(),
        call(&objects),
        call("[").replace('}', ""),
        format!("[{}]", vec!["0"; 2 * MIB].join(",")),
        batch(1_001),
        batch(60_000),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "x".repeat(4 * MIB)),
        "\"".to_owned(),
        String::new(),
    ];
    for text in nonsense {
        let start: String = text.chars().take(60).collect();
        let (status, body) = post(port, text.as_bytes()).unwrap_or_else(|| panic!("no answer to {start}"));
        assert!(status >= 400 || body.contains("\"error\""), "{start}: {status} {body}");
        assert!(body.len() < 64 * 1024, "{start}: an answer of {} bytes", body.len());
    }
    let (status, body) = post(port, &noise(MIB, 9)).unwrap();
    assert!(status >= 400 || body.contains("\"error\""), "noise: {status} {body}");
    // It may hang up while the body is still on its way, and then the answer is lost.
    if let Some((status, body)) = post(port, &vec![b' '; 9 * MIB]) {
        assert_eq!(status, 413, "{body}");
    }
    let (status, body) = post(port, batch(1_000).as_bytes()).unwrap();
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap().as_array().unwrap().len()), (200, 1_000));
}

/// Every method with parameters that are not its own.
fn wrong_parameters_are_refused(port: u16) {
    let ask = |method: &str, params: &Value| {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (status, body) = post(port, call.to_string().as_bytes()).unwrap_or_else(|| panic!("{method} {params}"));
        assert_eq!(status, 200, "{method} {params}");
        serde_json::from_str::<Value>(&body).unwrap_or_else(|_| panic!("{method} {params}: {body}"))
    };
    let described = ask("rpc.discover", &json!([]));
    let methods = described["result"]["methods"].as_array().unwrap();
    assert!(methods.len() > 20, "the node tells its methods");
    let huge = json!("f".repeat(100_000));
    let wrong =
        [json!([null]), json!([{}]), json!([-1]), json!([1e300]), json!([huge, huge, huge]), json!({ "no": 1 })];
    for method in methods.iter().map(|method| method["name"].as_str().unwrap()) {
        let takes_any = |params| ask(method, params)["error"].is_null();
        // A method without parameters may ignore what it is given; one that needs some must notice.
        let needs = described["result"]["methods"].as_array().unwrap().iter().any(|found| {
            let params = found["params"].as_array().map(Vec::as_slice).unwrap_or_default();
            found["name"] == method && params.iter().any(|param| param["required"] == true)
        });
        let accepted = wrong.iter().filter(|params| takes_any(params)).count();
        assert!(!needs || accepted == 0, "{method} took {accepted} of them");
    }
}

#[test]
fn garbage_on_every_port_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "6"]);
    let alice = Person::funded(&folder.path().join("alice"), &network);
    let store = |name: &str, seed| {
        let path = folder.path().join(name);
        std::fs::write(&path, noise(3 * MIB, seed)).unwrap();
        alice.ask(&["put", path.to_str().unwrap(), "--yes"]);
        assert_eq!(alice.get(name), noise(3 * MIB, seed), "{name}");
    };
    store("before", 1);

    let ports = Ports::of(network.pid());
    let rpc_port: u16 = rpc(&network).rsplit_once(':').unwrap().1.parse().unwrap();
    assert!(ports.tcp.contains(&rpc_port), "{ports:?}");
    assert!(ports.tcp.len() >= 3, "JSON-RPC, relay and consensus: {ports:?}");
    assert!(ports.udp.len() >= 7, "the heavy node and six holders: {ports:?}");
    let before = resident_bytes(network.pid());
    let mut sent = 0;
    for turn in 0..TURNS {
        for port in &ports.tcp {
            sent += tcp_garbage(turn).iter().map(|bytes| throw(*port, bytes)).sum::<usize>();
        }
        sent += ports.udp.iter().map(|port| throw_datagrams(*port, turn)).sum::<usize>();
    }
    assert!(sent as u64 > 5 * GROWTH_BYTES_MAX, "only {sent} bytes were taken");
    nonsense_is_answered(rpc_port);
    wrong_parameters_are_refused(rpc_port);

    store("after", 2);
    assert_eq!(alice.get("before"), noise(3 * MIB, 1));
    let height = || alice.ask(&["status", "--short"])["chain"]["height"].as_u64().unwrap();
    let reached = height();
    wait_for("the chain goes on", || (height() > reached).then_some(()));
    for page in ["/livez", "/readyz", "/metrics"] {
        let mut stream = dial(rpc_port);
        write!(stream, "GET {page} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{page}: {answer}");
    }
    assert_eq!(Ports::of(network.pid()).tcp.len(), ports.tcp.len(), "every port is open still");
    let grown = || resident_bytes(network.pid()).saturating_sub(before);
    eprintln!("{sent} bytes were taken; memory was {before} bytes and grew by {}", grown());
    wait_for("memory is given back", || (grown() < GROWTH_BYTES_MAX).then_some(()));
}
