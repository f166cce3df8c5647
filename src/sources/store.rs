//! Files of lists: read in chunks with any supported compression, as a whole if compiled, and written so that a
//! reader sees either the old file or the new one, complete.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, Read, Seek, Write};
use std::path::Path;

use bytes::Bytes;

use super::Progress;
use crate::lists::{self, List, Reader};
use crate::settings::ListBounds;

/// Octets read at a time.
const PIECE: usize = 1 << 16;

/// Why a file is not read as a list.
#[derive(Debug)]
pub enum ReadError {
    /// The file can't be read, or its compressed data is damaged.
    Io(io::Error),
    /// It is not a list, or exceeds the list's budget.
    List(lists::ReadError),
    /// The file, as it is stored, is larger than this many octets.
    TooLarge(u64),
    /// It unpacks to more than this many times its size.
    Bomb(u32),
}

/// Octets that may be unpacked whatever the ratio, since small files can have high ratios.
const UNPACKED: u64 = 16 << 20;

/// A file that can be read from its beginning any number of times.
pub struct Stored {
    file: File,
    name: String,
    size: u64,
    /// Its first octets.
    pub head: Vec<u8>,
    /// It is a pipe or a device, read to its end into a file of its own.
    pub spooled: bool,
}

impl Stored {
    /// Opens a file. What can be read only once, such as a pipe, is first copied to a temporary file.
    ///
    /// # Errors
    /// It can't be read or copied, or is larger than `most`.
    pub fn open(path: &Path, most: u64) -> Result<Self, ReadError> {
        let mut file = File::open(path).map_err(ReadError::Io)?;
        let found = file.metadata().map_err(ReadError::Io)?;
        let (spooled, mut size) = (!found.is_file() && !found.is_dir(), found.len());
        if spooled {
            let mut copy = unnamed().map_err(ReadError::Io)?;
            size = io::copy(&mut file.take(most.saturating_add(1)), &mut copy).map_err(ReadError::Io)?;
            file = copy;
        }
        if size > most {
            return Err(ReadError::TooLarge(most));
        }
        let mut stored = Self { file, name: path.display().to_string(), size, head: Vec::new(), spooled };
        stored.rewind().map_err(ReadError::Io)?;
        (&stored.file).take(16).read_to_end(&mut stored.head).map_err(ReadError::Io)?;
        Ok(stored)
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.file.rewind()
    }

    /// Reads a text list; decompresses gzip and zstd, which are recognised by their first octets. If the
    /// whole list shows another format than its beginning, it is read twice; `reader` begins each reading.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(
        &mut self,
        reader: impl Fn() -> Reader,
        bounds: &ListBounds,
        progress: &dyn Progress,
    ) -> Result<List, ReadError> {
        match self.read_once(reader(), bounds, progress) {
            Err(ReadError::List(lists::ReadError::OtherFormat(detected))) => {
                self.read_once(reader().detected(detected), bounds, progress)
            }
            read => read,
        }
    }

    fn read_once(
        &mut self,
        reader: Reader,
        bounds: &ListBounds,
        progress: &dyn Progress,
    ) -> Result<List, ReadError> {
        self.rewind().map_err(ReadError::Io)?;
        progress.begin(&self.name, self.size);
        let done = Cell::new(0);
        let counted =
            Counted { file: (&self.file).take(bounds.packed.saturating_add(1)), done: &done, progress };
        let may = |unpacked: u64| {
            if !progress.goes_on() {
                return Err(ReadError::Io(io::Error::other("it is not wanted any more")));
            }
            let packed: u64 = done.get();
            if packed > bounds.packed {
                return Err(ReadError::TooLarge(bounds.packed));
            }
            let most = packed.saturating_mul(bounds.ratio.into()).max(UNPACKED);
            if unpacked > most { Err(ReadError::Bomb(bounds.ratio)) } else { Ok(()) }
        };
        match self.head.as_slice() {
            [0x1f, 0x8b, ..] => feed(flate2::read::MultiGzDecoder::new(counted), reader, may),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                feed(Zstd { from: io::BufReader::new(counted), frame: None }, reader, may)
            }
            _ => feed(counted, reader, may),
        }
    }
}

/// A temporary file that no other process can open, and that is removed when it is closed.
fn unnamed() -> io::Result<File> {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("portcullis.{}.{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
    let path = std::env::temp_dir().join(name);
    let mut how = File::options();
    how.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    let file = how.open(&path)?;
    // Where open files can't be removed, it stays until the system clears the folder.
    let _ = std::fs::remove_file(&path);
    Ok(file)
}

/// The largest file that is read as a whole, in octets.
const MAX_TEXT: u64 = 256 << 20;

/// The whole text of a file, decompressed as by [`Stored::read`].
///
/// # Errors
/// It can't be read, is longer than 256 MiB, or is not UTF-8.
pub fn text(path: &Path) -> io::Result<String> {
    let mut head = Vec::new();
    File::open(path)?.take(16).read_to_end(&mut head)?;
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

/// After each piece, `may` decides whether the octets so far are too many.
fn feed(
    mut from: impl Read,
    mut reader: Reader,
    may: impl Fn(u64) -> Result<(), ReadError>,
) -> Result<List, ReadError> {
    let (mut piece, mut unpacked) = (vec![0; PIECE], 0u64);
    loop {
        match from.read(&mut piece) {
            Ok(0) => return reader.finish().map_err(ReadError::List),
            Ok(len) => {
                unpacked += len as u64;
                may(unpacked)?;
                let piece = piece.get(..len).unwrap_or_default();
                reader.feed(piece).map_err(ReadError::List)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
}

/// A file that reports how far it has been read.
struct Counted<'p, R> {
    file: R,
    done: &'p Cell<u64>,
    progress: &'p dyn Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read(buf)?;
        self.done.set(self.done.get() + len as u64);
        self.progress.at(self.done.get());
        Ok(len)
    }
}

/// Reads a whole file into memory of this process, so later changes to the file have no effect. With a memory map,
/// others could change what is served, or end the process by truncating the file.
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

/// Moves octets to where lookups are fastest: large pages, if the system has them.
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

/// Writes a file under a temporary name in the same folder and renames it: a process that reads the old file can
/// read it to its end.
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
