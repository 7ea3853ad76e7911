//! A part of a file as memory: the one place in the crate with unsafe code.

#![allow(unsafe_code)]

use memmap2::{Advice, Mmap, MmapOptions};
use std::fs::File;
use std::io;

/// Maps `length` bytes of a file from `offset` on, to be read once from front to back.
pub(super) fn map(file: &File, offset: u64, length: usize) -> io::Result<Mmap> {
    // SAFETY: the bytes are only read, as integers and doubles, of which every pattern is a value.
    // The compiler may not assume that they stay the same: that nobody writes to or shortens the file
    // while it is open is what the documentation of `StreamedRows` asks of the user. A shortened
    // file ends the process with SIGBUS.
    let map = unsafe { MmapOptions::new().offset(offset).len(length).map(file)? };
    Ok(map)
}

/// Asks the system to read a part of a file ahead.
pub(super) fn will_need(file: &File, offset: u64, length: usize) {
    // Advice only: without it the pages are read when they are touched.
    #[cfg(unix)]
    if let Ok(map) = map(file, offset, length) {
        let _ = map.advise(Advice::WillNeed);
    }
    let _ = (file, offset, length);
}
