//! Checkpoints written by one rank and read by all.

use argmin::core::Error as HostError;
use argmin::core::checkpointing::{Checkpoint as Host, CheckpointingFrequency};
use raphson::distributed::{Communicator, Error};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A checkpoint file of a distributed run, for argmin's `Executor::checkpointing`.
///
/// Rank 0 writes it, under another name that it then changes, so that the file is whole whenever
/// a rank or the machine is stopped. Rank 0 reads it and sends it to the others; so the file need
/// not be visible to them, and a run may resume on another number of ranks. On the same
/// number with the same shards a resumed run has the bits of the uninterrupted one. All ranks get
/// the same error if it cannot be written or read.
///
/// # Format
/// The 8 bytes `RAPHCKP1`, the length of what follows and its checksum (FNV-1a, 64 bits), both little
/// endian, and solver and state as postcard writes them.
#[derive(Debug)]
pub struct Checkpoint<C> {
    path: PathBuf,
    every: u64,
    communicator: C,
}

const MAGIC: &[u8; 8] = b"RAPHCKP1";

impl<C: Communicator> Checkpoint<C> {
    /// At `path`, after every `every` iterations; 0 saves nothing, but resumes.
    pub fn new(path: impl Into<PathBuf>, every: u64, communicator: C) -> Self {
        Checkpoint {
            path: path.into(),
            every,
            communicator,
        }
    }

    /// What rank 0 says, on all ranks.
    fn told_by_first(
        &self,
        own: impl FnOnce() -> Result<Vec<u8>, String>,
    ) -> Result<Vec<u8>, Error> {
        let told = match (self.communicator.rank(), own) {
            (0, own) => match own() {
                Ok(mut bytes) => {
                    bytes.push(1);
                    bytes
                }
                Err(text) => {
                    let mut bytes = text.into_bytes();
                    bytes.push(0);
                    bytes
                }
            },
            _ => Vec::new(),
        };
        let mut first = self.communicator.all_gather_bytes(&told)?.swap_remove(0);
        match first.pop() {
            Some(1) => Ok(first),
            _ => Err(Error::Failed {
                rank: 0,
                message: String::from_utf8_lossy(&first).into_owned(),
            }),
        }
    }
}

/// The checksum FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Writes a file that is either whole or not there.
fn write(path: &Path, payload: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut file = File::create(&part)?;
    file.write_all(MAGIC)?;
    file.write_all(&(payload.len() as u64).to_le_bytes())?;
    file.write_all(&checksum(payload).to_le_bytes())?;
    file.write_all(payload)?;
    file.sync_all()?;
    fs::rename(&part, path)
}

/// The payload of a file; empty if there is none.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let damaged = || {
        format!(
            "{}: not a whole checkpoint; remove it to start anew",
            path.display()
        )
    };
    let (head, payload) = bytes.split_at_checked(24).ok_or_else(damaged)?;
    let length = (payload.len() as u64).to_le_bytes();
    let sum = checksum(payload).to_le_bytes();
    if head != [&MAGIC[..], &length, &sum].concat() || payload.is_empty() {
        return Err(damaged());
    }
    Ok(payload.to_vec())
}

impl<S, I, C> Host<S, I> for Checkpoint<C>
where
    S: Serialize + DeserializeOwned,
    I: Serialize + DeserializeOwned,
    C: Communicator,
{
    fn save(&self, solver: &S, state: &I) -> Result<(), HostError> {
        self.told_by_first(|| {
            let payload = postcard::to_stdvec(&(solver, state)).map_err(|e| e.to_string())?;
            match write(&self.path, &payload) {
                Ok(()) => Ok(Vec::new()),
                Err(error) => Err(format!("{}: {error}", self.path.display())),
            }
        })?;
        Ok(())
    }

    fn load(&self) -> Result<Option<(S, I)>, HostError> {
        let payload = self.told_by_first(|| read(&self.path))?;
        if payload.is_empty() {
            return Ok(None);
        }
        let saved = postcard::from_bytes(&payload).map_err(|error| Error::Failed {
            rank: 0,
            message: format!(
                "{}: the checkpoint is of another solver: {error}",
                self.path.display()
            ),
        })?;
        Ok(Some(saved))
    }

    fn frequency(&self) -> CheckpointingFrequency {
        match self.every {
            0 => CheckpointingFrequency::Never,
            1 => CheckpointingFrequency::Always,
            every => CheckpointingFrequency::Every(every),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raphson::distributed::Threads;

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("raphson-{name}-{}", std::process::id()))
    }

    type Saved = Option<(Vec<f64>, u64)>;

    #[test]
    fn all_ranks_read_what_the_first_wrote() {
        let path = place("whole");
        let values = vec![f64::NAN, f64::INFINITY, -0.0, 1e-310];
        Threads::run(3, |rank| {
            let checkpoint = Checkpoint::new(&path, 1, rank);
            let saved: Saved = checkpoint.load().unwrap();
            assert!(saved.is_none());
            // The state of other ranks is not looked at.
            checkpoint
                .save(&values, &(7 + rank.index() as u64))
                .unwrap();
            let saved: Saved = checkpoint.load().unwrap();
            let (x, k) = saved.unwrap();
            assert_eq!(k, 7);
            assert!(
                x.iter()
                    .zip(&values)
                    .all(|(a, b)| a.to_bits() == b.to_bits())
            );
        });
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let path = place("damaged");
        Threads::run(1, |rank| {
            let checkpoint = Checkpoint::new(&path, 1, rank);
            checkpoint.save(&vec![1.0, 2.0], &3u64).unwrap();
        });
        let whole = fs::read(&path).unwrap();
        let text = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let texts = Threads::run(2, |rank| {
                let checkpoint = Checkpoint::new(&path, 1, rank);
                let saved: Result<Saved, HostError> = checkpoint.load();
                saved.unwrap_err().to_string()
            });
            assert_eq!(texts[0], texts[1]);
            texts[0].clone()
        };
        for length in 0..whole.len() {
            assert!(text(&whole[..length]).contains("not a whole checkpoint"));
        }
        for k in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[k] ^= 16;
            assert!(text(&bytes).contains("not a whole checkpoint"), "byte {k}");
        }
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error_of_all() {
        let path = place("absent").join("folder/file");
        for text in Threads::run(2, |rank| {
            let checkpoint = Checkpoint::new(&path, 1, rank);
            checkpoint.save(&1u64, &2u64).unwrap_err().to_string()
        }) {
            assert!(text.starts_with("rank 0: "), "{text}");
        }
    }
}
