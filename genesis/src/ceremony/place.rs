//! Where a validator listens, as others dial it. Addresses are values here (`core::net`); nothing is opened.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use holdfast_primitives::NetworkPrefix;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Sockets of one node that others dial, at most.
const NODE_SOCKETS_MAX: usize = 16;
/// Characters of a host's name (RFC 1035, 2.3.4).
const HOST_NAME_CHARS_MAX: usize = 253;

/// Where a validator's consensus listens: the multiaddr `/ip4/192.0.2.7/tcp/7452`, or `ip6`, `dns`, `dns4`, `dns6` in place of
/// `ip4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsensusAddr {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Ip(IpAddr),
    Name { protocol: &'static str, name: String },
}

/// Why others could not dial a validator there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// Not a multiaddr that consensus can dial.
    #[error("{text:?} is not an address of consensus: write /ip4/192.0.2.7/tcp/7452 (or ip6, dns, dns4, dns6)")]
    Malformed {
        /// What was given, cut to 100 characters.
        text: String,
    },
    /// No socket for the gossip, or too many.
    #[error("{found} sockets for the gossip, it takes 1 to {NODE_SOCKETS_MAX}")]
    Count {
        /// Found.
        found: usize,
    },
    /// The address of no machine, or of many.
    #[error("nobody can dial {ip}: give the address under which others reach this machine")]
    NotOne {
        /// The address.
        ip: IpAddr,
    },
    /// An address that means another machine to everybody else.
    #[error("{ip} is this machine for everybody: only a devnet may use it")]
    Loopback {
        /// The address.
        ip: IpAddr,
    },
    /// Port 0.
    #[error("nobody can dial port 0")]
    NoPort,
}

impl ConsensusAddr {
    /// Of a host that is known by its IP address.
    pub const fn new(socket: SocketAddr) -> Self {
        Self { host: Host::Ip(socket.ip()), port: socket.port() }
    }

    pub(super) fn check(&self, network: NetworkPrefix) -> Result<(), PlaceError> {
        match &self.host {
            Host::Ip(ip) => check_ip(*ip, network)?,
            Host::Name { .. } => {}
        }
        check_port(self.port)
    }
}

/// The sockets of a node that others dial.
pub(super) fn check_sockets(sockets: &[SocketAddr], network: NetworkPrefix) -> Result<(), PlaceError> {
    if sockets.is_empty() || sockets.len() > NODE_SOCKETS_MAX {
        return Err(PlaceError::Count { found: sockets.len() });
    }
    for socket in sockets {
        check_ip(socket.ip(), network)?;
        check_port(socket.port())?;
    }
    Ok(())
}

fn check_ip(ip: IpAddr, network: NetworkPrefix) -> Result<(), PlaceError> {
    let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    if ip.is_unspecified() || ip.is_multicast() || broadcast {
        return Err(PlaceError::NotOne { ip });
    }
    if ip.is_loopback() && network != NetworkPrefix::Devnet {
        return Err(PlaceError::Loopback { ip });
    }
    Ok(())
}

const fn check_port(port: u16) -> Result<(), PlaceError> {
    if port == 0 { Err(PlaceError::NoPort) } else { Ok(()) }
}

fn parse_host(protocol: &str, text: &str) -> Option<Host> {
    let protocol = match protocol {
        "ip4" => return text.parse::<Ipv4Addr>().ok().map(|ip| Host::Ip(ip.into())),
        "ip6" => return text.parse::<Ipv6Addr>().ok().map(|ip| Host::Ip(ip.into())),
        "dns" => "dns",
        "dns4" => "dns4",
        "dns6" => "dns6",
        _ => return None,
    };
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let fits = (1..=HOST_NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(is_plain);
    fits.then(|| Host::Name { protocol, name: text.to_owned() })
}

fn parse_port(text: &str) -> Option<u16> {
    // A sign or a zero in front would make two texts of one port.
    text.parse().ok().filter(|port: &u16| port.to_string() == text)
}

impl FromStr for ConsensusAddr {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let malformed = || PlaceError::Malformed { text: text.chars().take(100).collect() };
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or_else(malformed);
        let (root, protocol, host, transport, port) = (next()?, next()?, next()?, next()?, next()?);
        if !root.is_empty() || transport != "tcp" || parts.next().is_some() {
            return Err(malformed());
        }
        let host = parse_host(protocol, host).ok_or_else(malformed)?;
        Ok(Self { host, port: parse_port(port).ok_or_else(malformed)? })
    }
}

impl fmt::Display for ConsensusAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V4(ip)) => write!(f, "/ip4/{ip}")?,
            Host::Ip(IpAddr::V6(ip)) => write!(f, "/ip6/{ip}")?,
            Host::Name { protocol, name } => write!(f, "/{protocol}/{name}")?,
        }
        write!(f, "/tcp/{}", self.port)
    }
}

impl Serialize for ConsensusAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConsensusAddr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
