//! The words on the wire: frames, the messages of the protocols, and the statements that nodes sign to each other.
//!
//! ```text
//! frame   length u32 LE | kind u8 | fields        (kind and fields are the borsh of one of the message enums)
//! ```
//!
//! Every kind has its own cap, and the cap is checked before memory is reserved for the rest. The first message of a
//! connection is a hello whose first field is the protocol's version. Decoding is total: any bytes give an answer.

mod access;
mod control;
mod frame;
mod gossip;
mod groups;
mod heavy;
mod join;
mod placement;
mod refusal;
mod signed;
mod text;
mod transfer;

pub use access::{CAPABILITY_BATCHES_MAX, Capability, Direction, Scope, Ticket};
pub use control::{
    CONTROL_VERSION, ChildHello, FromHolder, FromParent, HolderOffer, LOCATE_MAX, Located, LocatedHolder, Role,
    ToHolder, ToParent, Welcome,
};
pub use frame::{
    FrameError, Message, decode_frame, encode_frame, read_frame, read_frame_within, read_hello, write_frame,
};
pub use gossip::{
    FromPeer, GOSSIP_CARDS_MAX, GOSSIP_TX_BYTES_MAX, GOSSIP_TXS_MAX, GOSSIP_VERSION, GossipTx, HeavyCard,
};
pub use groups::{GROUPS_MAX, GroupSet};
pub use heavy::{
    FromNeighbour, HEAVY_VERSION, ONLINE_MAX, Online, SEEK_OFFERS_MAX, Seek, SeekDone, ToNeighbour, Whereis,
};
pub use join::{
    CHUNK_ASK_BYTES_MAX, FromSource, JOIN_DATA_BYTES_MAX, JOIN_PEERS_MAX, JOIN_VERSION, MULTIADDR_BYTES_MAX,
    SNAPSHOTS_OFFERED_MAX, SourceOffer, ToSource,
};
pub use placement::{
    DONE_TAGS_MAX, EXCLUDE_MAX, Offered, PLACEMENT_HOLDERS_MAX, PlacementDone, PlacementRequest, QuoteRefusal,
    QuoteRequest, REQUEST_MS_MAX, RefusalKind,
};
pub use refusal::{DETAIL_BYTES_MAX, Refusal, RefusalCode};
pub use signed::{Signed, Statement};
pub use text::Text;
pub use transfer::{
    Access, RECEIPT_BATCHES_MAX, ReceiptRequest, TRANSFER_VERSION, TransferHello, TransferReply, TransferRequest,
};
