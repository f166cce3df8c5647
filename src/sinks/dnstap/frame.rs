//! Frame Streams, the framing of dnstap: each frame has its length in front; a length of 0 begins a control frame.
//!
//! In both directions: READY →, ← ACCEPT, START →, data →, STOP →, ← FINISH. Into a file: START, data, STOP.
//! All numbers are big-endian and have four octets.

use std::io::{self, Read};

/// The type of content, which both sides must agree on.
pub(super) const CONTENT: &[u8] = b"protobuf:dnstap.Dnstap";
/// The field of a control frame that holds it.
const CONTENT_TYPE: u32 = 1;
/// The longest control frame that is read; the reference library allows 512 octets.
const MAX_CONTROL: usize = 512;

/// A control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// The receiver takes a content.
    Accept,
    /// Data follow.
    Start,
    /// No data follow.
    Stop,
    /// The sender offers a content.
    Ready,
    /// The receiver has everything.
    Finish,
}

impl Control {
    const ALL: [Self; 5] = [Self::Accept, Self::Start, Self::Stop, Self::Ready, Self::Finish];

    const fn number(self) -> u32 {
        match self {
            Self::Accept => 1,
            Self::Start => 2,
            Self::Stop => 3,
            Self::Ready => 4,
            Self::Finish => 5,
        }
    }

    /// Whether it names the content.
    const fn has_content(self) -> bool {
        matches!(self, Self::Accept | Self::Start | Self::Ready)
    }

    /// The frame.
    pub(super) fn octets(self) -> Vec<u8> {
        let mut body = self.number().to_be_bytes().to_vec();
        if self.has_content() {
            body.extend(CONTENT_TYPE.to_be_bytes());
            body.extend(length(CONTENT));
            body.extend(CONTENT);
        }
        [&[0; 4], &length(&body)[..], &body].concat()
    }
}

/// Adds a data frame.
pub(super) fn data(frame: &[u8], out: &mut Vec<u8>) {
    out.extend(length(frame));
    out.extend(frame);
}

fn length(octets: &[u8]) -> [u8; 4] {
    // A frame holds two messages of 64 KiB at most.
    u32::try_from(octets.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// Reads the control frame that must come now.
///
/// # Errors
/// Something else comes, or nothing; an ACCEPT or READY that does not name dnstap.
pub(super) fn expect(control: Control, from: &mut impl Read) -> io::Result<()> {
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut number = || {
        let mut octets = [0; 4];
        from.read_exact(&mut octets).map(|()| u32::from_be_bytes(octets))
    };
    if number()? != 0 {
        return Err(wrong("the collector sent data, not a control frame".into()));
    }
    let length = number()? as usize;
    if !(4..=MAX_CONTROL).contains(&length) {
        return Err(wrong(format!("the collector sent a control frame of {length} octets")));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let (kind, mut fields) = body.split_first_chunk::<4>().ok_or(io::ErrorKind::InvalidData)?;
    let kind = u32::from_be_bytes(*kind);
    if kind != control.number() {
        let known = Control::ALL.iter().find(|known| known.number() == kind);
        let known = known.map_or_else(|| format!("of type {kind}"), |known| format!("{known:?}"));
        return Err(wrong(format!("the collector sent a control frame {known}, not {control:?}")));
    }
    let mut contents = Vec::new();
    while let Some((field, rest)) = fields.split_first_chunk::<4>() {
        let (len, rest) = rest.split_first_chunk::<4>().ok_or(io::ErrorKind::InvalidData)?;
        let (value, rest) =
            rest.split_at_checked(u32::from_be_bytes(*len) as usize).ok_or(io::ErrorKind::InvalidData)?;
        if u32::from_be_bytes(*field) == CONTENT_TYPE {
            contents.push(value);
        }
        fields = rest;
    }
    // Without any content everything is accepted.
    if control.has_content() && !contents.is_empty() && !contents.contains(&CONTENT) {
        return Err(wrong("the collector does not take dnstap".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_frame_is_what_the_reference_library_writes() {
        let ready = b"\0\0\0\0\0\0\0\x22\0\0\0\x04\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap";
        assert_eq!(Control::Ready.octets(), ready);
        assert_eq!(Control::Stop.octets(), b"\0\0\0\0\0\0\0\x04\0\0\0\x03");
        for control in Control::ALL {
            assert!(expect(control, &mut &control.octets()[..]).is_ok(), "{control:?}");
        }
    }

    #[test]
    fn a_collector_that_speaks_something_else_is_told() {
        for (octets, problem) in [
            (&b"HTTP/1.1 400 Bad Request"[..], "data"),
            (b"\0\0\0\0\0\0\0\x04\0\0\0\x03", "Stop, not Accept"),
            (b"\0\0\0\0\0\0\0\x04\0\0\0\x09", "of type 9"),
            (b"\0\0\0\0\xff\0\0\0", "4278190080 octets"),
            (b"\0\0\0\0\0\0\0\x10\0\0\0\x01\0\0\0\x01\0\0\0\x04text", "does not take dnstap"),
            (b"\0\0\0\0\0\0\0\x0c\0\0\0\x01\0\0\0\x01\0\0\0\x16", "invalid data"),
            (b"\0\0\0\0", "fill"),
        ] {
            let error = expect(Control::Accept, &mut &octets[..]).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
