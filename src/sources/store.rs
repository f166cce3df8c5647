//! Files of lists: read in chunks with any supported compression, as a whole if compiled, and written so that a
//! reader sees either the old file or the new one, complete.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;

use bytes::Bytes;

use super::Progress;
use crate::lists::{List, NotAList, Reader};

/// Octets read at a time.
const PIECE: usize = 1 << 16;

/// Why a file is not read as a list.
#[derive(Debug)]
pub enum ReadError {
    /// The file can't be read, or its compressed data is damaged.
    Io(io::Error),
    /// It is not a list.
    NotAList(NotAList),
}

/// The first octets of a file.
///
/// # Errors
/// The file can't be read.
pub fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(16).read_to_end(&mut head)?;
    Ok(head)
}

/// Reads a text list; decompresses gzip and zstd, which are recognised by their first octets.
///
/// # Errors
/// See [`ReadError`].
pub fn read(path: &Path, reader: Reader, progress: &dyn Progress) -> Result<List, ReadError> {
    let head = head(path).map_err(ReadError::Io)?;
    let file = File::open(path).map_err(ReadError::Io)?;
    let size = file.metadata().map_err(ReadError::Io)?.len();
    progress.begin(&path.display().to_string(), size);
    let counted = Counted { file, done: 0, progress };
    match head.as_slice() {
        [0x1f, 0x8b, ..] => feed(flate2::read::MultiGzDecoder::new(counted), reader, progress),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            feed(Zstd { from: io::BufReader::new(counted), frame: None }, reader, progress)
        }
        _ => feed(counted, reader, progress),
    }
}

/// The largest file that is read as a whole, in octets.
const MAX_TEXT: u64 = 256 << 20;

/// The whole text of a file, decompressed as by [`read`].
///
/// # Errors
/// It can't be read, is longer than 256 MiB, or is not UTF-8.
pub fn text(path: &Path) -> io::Result<String> {
    let head = head(path)?;
    let file = File::open(path)?;
    let from: Box<dyn Read> = match head.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Box::new(Zstd { from: io::BufReader::new(file), frame: None })
        }
        _ => Box::new(file),
    };
    let mut text = String::new();
    if from.take(MAX_TEXT).read_to_string(&mut text)? as u64 == MAX_TEXT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// Concatenated zstd frames (RFC 8878 §3); the library reads only one.
struct Zstd<R: Read> {
    from: io::BufReader<R>,
    frame: Option<ruzstd::decoding::FrameDecoder>,
}

impl<R: Read> Zstd<R> {
    /// The next frame; `None` at the end. Skippable frames are skipped.
    fn next(&mut self) -> io::Result<Option<ruzstd::decoding::FrameDecoder>> {
        use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
        loop {
            if self.from.fill_buf()?.is_empty() {
                return Ok(None);
            }
            let mut frame = ruzstd::decoding::FrameDecoder::new();
            match frame.init(&mut self.from) {
                Ok(()) => return Ok(Some(frame)),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = io::copy(&mut (&mut self.from).take(length.into()), &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let frame = match &mut self.frame {
                Some(frame) => frame,
                None => match self.next()? {
                    Some(frame) => self.frame.insert(frame),
                    None => return Ok(0),
                },
            };
            while frame.can_collect() == 0 && !frame.is_finished() {
                let some = ruzstd::decoding::BlockDecodingStrategy::UptoBytes(PIECE);
                frame.decode_blocks(&mut self.from, some).map_err(|e| io::Error::other(e.to_string()))?;
            }
            let len = frame.read(buf)?;
            if len > 0 || buf.is_empty() {
                return Ok(len);
            }
            let (said, is) = (frame.get_checksum_from_data(), frame.get_calculated_checksum());
            if said.is_some() && said != is {
                return Err(io::Error::other("what is packed does not give its checksum"));
            }
            self.frame = None;
        }
    }
}

fn feed(mut from: impl Read, mut reader: Reader, progress: &dyn Progress) -> Result<List, ReadError> {
    let mut piece = vec![0; PIECE];
    loop {
        if !progress.goes_on() {
            return Err(ReadError::Io(io::Error::other("it is not wanted any more")));
        }
        match from.read(&mut piece) {
            Ok(0) => return reader.finish().map_err(ReadError::NotAList),
            Ok(len) => {
                let piece = piece.get(..len).unwrap_or_default();
                reader.feed(piece).map_err(ReadError::NotAList)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
}

/// A file that reports how far it has been read.
struct Counted<'p> {
    file: File,
    done: u64,
    progress: &'p dyn Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read(buf)?;
        self.done += len as u64;
        self.progress.at(self.done);
        Ok(len)
    }
}

/// Reads a whole file into memory of this process: what becomes of the file later changes nothing here. A map
/// of the file would let others change, or end, what is served.
///
/// # Errors
/// The file can't be read, or changes while it is read.
pub fn whole(path: &Path) -> io::Result<Bytes> {
    let mut file = File::open(path)?;
    let len = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut room = Room::new(len)?;
    file.read_exact(room.octets(len)?)?;
    if file.read(&mut [0])? > 0 {
        return Err(io::Error::other("it grows while it is read; try again when it is written"));
    }
    Ok(room.into_bytes(len))
}

/// Moves octets to where lookups are fastest: see [`Room`].
#[must_use]
pub fn settle(octets: Bytes) -> Bytes {
    let moved = || -> io::Result<Bytes> {
        let mut room = Room::new(octets.len())?;
        room.octets(octets.len())?.copy_from_slice(&octets);
        Ok(room.into_bytes(octets.len()))
    };
    if octets.len() < LARGE / 2 { octets } else { moved().unwrap_or(octets) }
}

/// The size of a large page on most processors.
const LARGE: usize = 2 << 20;

/// Memory for what lookups read: of large pages, if the system has them, which saves walks through page tables.
/// Small inputs, and those on other systems, get ordinary memory.
enum Room {
    #[cfg(target_os = "linux")]
    Large(memmap2::MmapMut),
    Small(Vec<u8>),
}

impl Room {
    fn new(len: usize) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if len >= LARGE / 2 {
            let map = memmap2::MmapMut::map_anon(len.next_multiple_of(LARGE))?;
            map.advise(memmap2::Advice::HugePage)?;
            return Ok(Self::Large(map));
        }
        let mut room = Vec::new();
        room.try_reserve_exact(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        room.resize(len, 0);
        Ok(Self::Small(room))
    }

    fn octets(&mut self, len: usize) -> io::Result<&mut [u8]> {
        let all = match self {
            #[cfg(target_os = "linux")]
            Self::Large(map) => &mut map[..],
            Self::Small(room) => &mut room[..],
        };
        all.get_mut(..len).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    fn into_bytes(self, len: usize) -> Bytes {
        let all = match self {
            #[cfg(target_os = "linux")]
            Self::Large(map) => Bytes::from_owner(map),
            Self::Small(room) => Bytes::from(room),
        };
        all.slice(..len.min(all.len()))
    }
}

/// Writes a file under a temporary name beside it and renames it, so that whoever reads the old file reads it to
/// its end.
///
/// # Errors
/// The file can't be written or renamed.
pub fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    replace(path, parts, false)
}

/// Like [`write()`], for a file that only its owner may read and write.
///
/// # Errors
/// The file can't be written or renamed.
pub fn write_private(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    replace(path, parts, true)
}

fn replace(path: &Path, parts: &[&[u8]], private: bool) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let done = (|| {
        let mut file = fresh(&part, private)?;
        for bytes in parts {
            file.write_all(bytes)?;
        }
        file.sync_all()?;
        std::fs::rename(&part, path)
    })();
    match done {
        Ok(()) => sync_folder(path),
        // The remains of a failed attempt are useless; failing to remove them changes nothing.
        Err(_) => drop(std::fs::remove_file(&part)),
    }
    done
}

/// Creates a new file, replacing the remains of an earlier attempt. Never follows a link of another user.
fn fresh(path: &Path, private: bool) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut how = File::options();
    how.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    how.open(path)
}

/// Makes a rename survive a power failure. On systems without this call the rename becomes durable later;
/// the file is complete either way.
fn sync_folder(path: &Path) {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    #[cfg(not(unix))]
    let _ = path;
}
