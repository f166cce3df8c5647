//! Refuses TLS at once, with an alert.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Limits;
use super::connections::{close, discard, first_octet};

/// The first octet of a record that carries a handshake (RFC 8446 §5.1).
pub(super) const HANDSHAKE: u8 = 22;
/// The most octets of plaintext in a record (RFC 8446 §5.1).
const MAX_RECORD: u64 = 1 << 14;
/// An alert in a record of its own, as TLS 1.2 and 1.3 both frame it: fatal, `access_denied` (RFC 8446 §6).
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// Refuses a handshake; closes the connection on anything else.
pub(super) async fn turn_away(stream: TcpStream, limits: Limits) {
    if first_octet(&stream, limits.wait).await == Some(HANDSHAKE) {
        refuse(stream, limits).await;
    }
}

/// Refuses a handshake after its first octet has arrived.
pub(super) async fn refuse(mut stream: TcpStream, limits: Limits) {
    // The contents of the ClientHello make no difference; it is read so that the client has sent it when
    // the alert arrives. An incomplete or late one gets the alert too.
    let _ = timeout(limits.wait, client_hello(&mut stream)).await;
    if matches!(timeout(limits.wait, stream.write_all(&ACCESS_DENIED)).await, Ok(Ok(()))) {
        close(stream).await;
    }
}

async fn client_hello(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut header = [0; 5];
    stream.read_exact(&mut header).await?;
    let [_, _, _, high, low] = header;
    let length = u64::from(u16::from_be_bytes([high, low]));
    discard(stream, length.min(MAX_RECORD)).await?;
    Ok(())
}
