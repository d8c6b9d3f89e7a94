//! Compressed text files: told from their first bytes, because names lie, and read as a stream, so that
//! a small file that unpacks to a huge one takes no more memory than any other.

use async_compression::tokio::bufread::{BzDecoder, GzipDecoder, XzDecoder, ZstdDecoder};
use bytes::Bytes;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

/// Bytes of a file from which its compression can be told.
pub const MAGIC_BYTES: u64 = TAR_AT as u64 + TAR.len() as u64;
/// What stands in the first header of a tar archive, and where.
const TAR: &[u8] = b"ustar";
const TAR_AT: usize = 257;
/// Unpacked bytes that are handed on at once.
const CHUNK: usize = 1024 * 1024;

/// Memory that an xz file may ask for; the largest setting of the usual program takes a quarter of it.
const XZ_MEMORY: u64 = 256 * 1024 * 1024;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of one member or several.
    Gzip,
    /// Zstandard, of one frame or several.
    Zstd,
    /// bzip2, of one stream or several.
    Bzip2,
    /// xz, of one stream or several.
    Xz,
}

impl Compression {
    /// The compression of a file that begins with `head`, of which [`MAGIC_BYTES`] are looked at.
    ///
    /// # Errors
    /// `Execution` for packed files that cannot be read, and for those of other formats; they would else pass for text.
    pub fn of(head: &[u8]) -> Result<Self> {
        let unknown = |name: &str| {
            Err(DataFusionError::Execution(format!(
                "files packed with {name} cannot be read; use gzip, zstd, bzip2 or xz"
            )))
        };
        match head {
            [0x1f, 0x8b, 8, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Self::Xz),
            // Behind the name and the level stands the mark of a block or of the end.
            [b'B', b'Z', b'h', b'1'..=b'9', mark @ ..]
                if mark.starts_with(b"1AY&SY") || mark.starts_with(b"\x17rE8P\x90") =>
            {
                Ok(Self::Bzip2)
            }
            [b'P', b'K', 3 | 5, 4 | 6, ..] => unknown("zip (as Excel's .xlsx are)"),
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => unknown("7z"),
            [0x04, 0x22, 0x4d, 0x18, ..] => unknown("lz4"),
            [0x1f, 0x9d | 0xa0, ..] => unknown("compress"),
            [0xff, 0x06, 0, 0, b's', b'N', b'a', b'P', b'p', b'Y', ..] => unknown("snappy"),
            [b'R', b'a', b'r', b'!', 0x1a, 7, ..] => unknown("rar"),
            [b'L', b'Z', b'I', b'P', 0 | 1, ..] => unknown("lzip"),
            [0x89, b'L', b'Z', b'O', 0, ..] => unknown("lzop"),
            [b'M', b'S', b'C', b'F', 0, 0, 0, 0, ..] => unknown("cab"),
            _ if head.get(TAR_AT..).is_some_and(|rest| rest.starts_with(TAR)) => unknown("tar"),
            _ => match other_format(head) {
                Some(name) => Err(DataFusionError::Execution(format!(
                    "this is a file of {name}, and no text"
                ))),
                None => Ok(Self::None),
            },
        }
    }

    /// The unpacked bytes of `chunks`, all members of them. Text that ends too early is an error.
    pub fn unpack(
        self,
        chunks: BoxStream<'static, Result<Bytes>>,
    ) -> BoxStream<'static, Result<Bytes>> {
        let packed = StreamReader::new(chunks.map_err(std::io::Error::other));
        let reader: Box<dyn AsyncRead + Send + Unpin> = match self {
            Self::None => return packed.into_inner().map_err(unreadable).boxed(),
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(packed);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            Self::Zstd => {
                let mut decoder = ZstdDecoder::new(packed);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            Self::Bzip2 => {
                let mut decoder = BzDecoder::new(packed);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            Self::Xz => {
                let mut decoder = XzDecoder::with_mem_limit(packed, XZ_MEMORY);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
        };
        let mut is_first = true;
        ReaderStream::with_capacity(reader, CHUNK)
            .map(move |chunk| {
                let chunk = chunk.map_err(unreadable)?;
                if std::mem::take(&mut is_first) && Self::of(&chunk)? != Self::None {
                    return Err(DataFusionError::Execution(
                        "what is packed in the file is a packed file, and no text".to_owned(),
                    ));
                }
                Ok(chunk)
            })
            .boxed()
    }
}

/// The format of a file that begins with bytes which no text has.
fn other_format(head: &[u8]) -> Option<&'static str> {
    let formats: [(&[u8], &str); 5] = [
        // The header of a page comes first.
        (b"PAR1\x15", "Parquet"),
        (b"ARROW1\0\0", "Arrow"),
        (b"Obj\x01", "Avro"),
        (b"SQLite format 3\0", "SQLite"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Microsoft Office"),
    ];
    let mut formats = formats.into_iter();
    formats.find_map(|(magic, name)| head.starts_with(magic).then_some(name))
}

/// Names the file in an error about its content; errors of the store name it themselves.
pub fn in_file(path: &Path, error: DataFusionError) -> DataFusionError {
    match error {
        DataFusionError::Execution(text) => {
            DataFusionError::Execution(format!("cannot read `/{path}`: {text}"))
        }
        other => other,
    }
}

/// What a reader failed with: the error of the store below it as it was, else that of the decoder.
fn unreadable(error: std::io::Error) -> DataFusionError {
    match error.downcast::<DataFusionError>() {
        Ok(inner) => inner,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            DataFusionError::Execution("the compressed file is cut off".to_owned())
        }
        Err(error) => {
            DataFusionError::Execution(format!("the compressed file is damaged: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::datasource::file_format::file_compression_type::FileCompressionType;

    use futures::stream;

    use super::*;

    const ALL: [(Compression, FileCompressionType); 4] = [
        (Compression::Gzip, FileCompressionType::GZIP),
        (Compression::Zstd, FileCompressionType::ZSTD),
        (Compression::Bzip2, FileCompressionType::BZIP2),
        (Compression::Xz, FileCompressionType::XZ),
    ];

    fn packed(kind: &FileCompressionType, text: &'static [u8]) -> Vec<u8> {
        let text = stream::iter([Ok(Bytes::from_static(text))]).boxed();
        let chunks = kind.convert_to_compress_stream(text).unwrap();
        let chunks: Vec<Bytes> = futures::executor::block_on(chunks.try_collect()).unwrap();
        chunks.concat()
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<u8>> {
        let kind = Compression::of(bytes)?;
        let chunks: Vec<_> = bytes
            .chunks(7)
            .map(|c| Ok(Bytes::copy_from_slice(c)))
            .collect();
        let chunks = kind.unpack(stream::iter(chunks).boxed());
        let chunks: Vec<Bytes> = futures::executor::block_on(chunks.try_collect())?;
        Ok(chunks.concat())
    }

    #[test]
    fn the_first_bytes_tell_the_compression() {
        for (expected, kind) in &ALL {
            for text in [&b"id,name\n1,Ada\n"[..], b""] {
                assert_eq!(Compression::of(&packed(kind, text)).unwrap(), *expected);
            }
        }
        for text in [&b"BZh9,1\n"[..], b"", b"P", b"\x1f", b"PK,1\n"] {
            assert_eq!(Compression::of(text).unwrap(), Compression::None);
        }
        let error = Compression::of(b"PK\x03\x04\x14\0")
            .unwrap_err()
            .to_string();
        assert!(error.contains("zip"), "{error}");
    }

    #[test]
    fn other_formats_are_no_text() {
        let mut tar = b"orders.csv".to_vec();
        tar.resize(TAR_AT, 0);
        tar.extend_from_slice(b"ustar\x0000");
        for (head, name) in [
            (&b"Rar!\x1a\x07\x01\0"[..], "rar"),
            (b"LZIP\x01\x0c", "lzip"),
            (b"\x89LZO\0\r\n\x1a\n", "lzop"),
            (b"MSCF\0\0\0\0", "cab"),
            (&tar, "tar"),
            (b"PAR1\x15\x04", "Parquet"),
            (b"ARROW1\0\0", "Arrow"),
            (b"Obj\x01\x04", "Avro"),
            (b"SQLite format 3\0", "SQLite"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Office"),
        ] {
            let error = Compression::of(head).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
        for text in ["PAR1,2\n", "LZIP,1\n", "Rar!,1\n", "Obj\n", "ustar\n"] {
            assert!(Compression::of(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_packed_twice_is_no_text() {
        let (_, gzip) = &ALL[0];
        let once: &'static [u8] = packed(gzip, b"id\n1\n").leak();
        let error = unpacked(&packed(gzip, once)).unwrap_err().to_string();
        assert!(error.contains("packed file"), "{error}");
    }

    #[test]
    fn all_members_are_read() {
        for (_, kind) in &ALL {
            let mut bytes = packed(kind, b"id\n1\n");
            bytes.extend(packed(kind, b"2\n"));
            assert_eq!(unpacked(&bytes).unwrap(), b"id\n1\n2\n", "{kind:?}");
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_an_error_wherever_it_ends() {
        for (compression, kind) in &ALL {
            let whole = packed(kind, b"id,name\n1,Ada\n2,Ben\n3,Cleo\n4,Ada\n");
            assert!(unpacked(&whole).is_ok());
            for n_bytes in 12..whole.len() {
                let cut = unpacked(&whole[..n_bytes]);
                assert!(cut.is_err(), "{compression:?} {n_bytes} of {}", whole.len());
            }
        }
    }

    /// Once this fails, see `docs/upstream.md`.
    #[test]
    fn datafusion_reads_the_first_member_only() {
        for (compression, kind) in &ALL[1..] {
            let bytes = [packed(kind, b"id\n1\n"), packed(kind, b"2\n")].concat();
            let chunks = stream::iter([Ok(Bytes::from(bytes))]).boxed();
            let chunks = kind.convert_stream(chunks).unwrap();
            let chunks: Vec<Bytes> = futures::executor::block_on(chunks.try_collect()).unwrap();
            assert_eq!(chunks.concat(), b"id\n1\n", "{compression:?}");
        }
    }
}
