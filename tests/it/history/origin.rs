//! The data behind the cached functions of a run: one version per key, shared by all processes.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// One file per key, whose length is the version. The kernel appends atomically, and a process that reads the length
/// after an append has returned sees the new length.
#[derive(Debug)]
pub(super) struct Origin {
    files: Vec<Vec<File>>,
}

impl Origin {
    /// Opens the origin in a directory and creates missing files.
    pub(super) fn open(dir: &Path, functions: usize, keys: u64) -> Self {
        let open = |function: usize, key: u64| {
            let path = dir.join(format!("{function}-{key}"));
            OpenOptions::new().create(true).append(true).open(path).unwrap()
        };
        let files =
            (0..functions).map(|function| (0..keys).map(|key| open(function, key)).collect()).collect();
        Self { files }
    }

    pub(super) fn version(&self, function: usize, key: u64) -> u64 {
        self.file(function, key).metadata().unwrap().len()
    }

    /// Changes the value of a key.
    pub(super) fn bump(&self, function: usize, key: u64) {
        self.file(function, key).write_all(b"+").unwrap();
    }

    fn file(&self, function: usize, key: u64) -> &File {
        &self.files[function][usize::try_from(key).unwrap()]
    }
}

/// A directory for one run, removed when dropped.
#[derive(Debug)]
pub(super) struct Dir(pub(super) PathBuf);

impl Dir {
    pub(super) fn new() -> Self {
        let name = format!("cached-history-{}-{}", std::process::id(), super::model::now());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
