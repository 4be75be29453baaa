//! A local directory whose successful writes survive a power cut.
//!
//! `object_store`'s `LocalFileSystem` never calls fsync. Here every write goes to a staged file
//! next to its target, the staged file is fsynced, it is linked or renamed into place, and the
//! directory is fsynced: after a crash a key is either absent or whole, never torn. Directories
//! made on the way are fsynced in their parents. Staged files end in `#<digits>`, which
//! `LocalFileSystem` never lists or reads.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, ops::Range};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result, UploadPart,
};

use super::disk::Disk;
use crate::mutant::{Mutant, planted};

/// Keys deleted before their directories are fsynced.
const DELETED_TOGETHER: usize = 256;
/// Directories remembered as durable; above it they are forgotten and fsynced again.
const MAX_KNOWN_DIRECTORIES: usize = 1 << 16;
/// Staged files one target may have at once, leftovers of crashes included.
const MAX_STAGED_FILES: u32 = 1 << 16;

/// [`LocalFileSystem`] with fsync.
#[derive(Debug)]
pub(super) struct DurableStore {
    inner: LocalFileSystem,
    directories: Arc<Directories>,
}

impl DurableStore {
    /// Opens an existing directory.
    pub(super) fn open(root: &FsPath) -> Result<Self> {
        Self::open_on(root, Disk::default())
    }

    /// The same, on this disk.
    pub(super) fn open_on(root: &FsPath, disk: Disk) -> Result<Self> {
        let root = std::fs::canonicalize(root).map_err(|error| failed(root, error))?;
        let inner = LocalFileSystem::new_with_prefix(&root)?;
        let directories = Directories { root, disk, known: Mutex::new(HashSet::new()) };
        Ok(Self { inner, directories: Arc::new(directories) })
    }

    /// Keys -> paths.
    fn paths(&self) -> LocalFileSystem {
        self.inner.clone()
    }

    /// Fsyncs what a finished copy or rename left at `to`.
    async fn settle(&self, to: &Path) -> Result<()> {
        let path = self.inner.path_to_filesystem(to)?;
        let directories = Arc::clone(&self.directories);
        blocking(move || {
            let sync = || {
                directories.disk.sync(&path, &File::open(&path)?)?;
                directories.sync_parent(&path)
            };
            sync().map_err(|error| failed(&path, error))
        })
        .await
    }
}

impl fmt::Display for DurableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableStore({})", self.directories.root.display())
    }
}

#[async_trait::async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let create = match options.mode {
            PutMode::Overwrite => false,
            PutMode::Create => true,
            // Not supported there either; its error says so.
            PutMode::Update(_) => return self.inner.put_opts(location, payload, options).await,
        };
        let path = self.inner.path_to_filesystem(location)?;
        let directories = Arc::clone(&self.directories);
        blocking(move || {
            let mut staged = Staged::create(&directories, &path)?;
            staged.write(0, &payload).map_err(|error| failed(&path, error))?;
            staged.publish(&directories, create)?;
            Ok(PutResult { e_tag: None, version: None })
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.inner.path_to_filesystem(location)?;
        let directories = Arc::clone(&self.directories);
        let staged = blocking(move || Staged::create(&directories, &path)).await?;
        Ok(Box::new(Upload {
            staged: Arc::new(Mutex::new(Some(staged))),
            directories: Arc::clone(&self.directories),
            offset: 0,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let directories = Arc::clone(&self.directories);
        let paths = self.paths();
        let delete = move |locations: Vec<Result<Path>>| {
            let (directories, paths) = (Arc::clone(&directories), paths.clone());
            blocking(move || Ok(directories.delete(&paths, locations)))
        };
        let deleted = locations.chunks(DELETED_TOGETHER).then(delete);
        deleted.map_ok(futures::stream::iter).try_flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        sorted(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        sorted(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        self.settle(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        match options.target_mode {
            object_store::RenameTargetMode::Overwrite => {
                self.inner.rename_opts(from, to, options).await?;
                self.settle(to).await
            }
            // The inner one is a copy and a delete; the copy must be durable before the delete.
            object_store::RenameTargetMode::Create => {
                let copy = CopyOptions::new().with_mode(object_store::CopyMode::Create);
                self.copy_opts(from, to, copy).await?;
                self.inner.delete(from).await
            }
        }
    }
}

/// A listing in the order of its keys, as object stores give it and Delta readers expect it; a
/// directory has no order of its own.
fn sorted(
    listing: BoxStream<'static, Result<ObjectMeta>>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let collect = async move {
        let mut found: Vec<ObjectMeta> = listing.try_collect().await?;
        found.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok::<_, Error>(futures::stream::iter(found.into_iter().map(Ok)))
    };
    futures::stream::once(collect).try_flatten().boxed()
}

/// Which directories are known to be reachable after a power cut.
#[derive(Debug)]
struct Directories {
    root: PathBuf,
    disk: Disk,
    known: Mutex<HashSet<PathBuf>>,
}

impl Directories {
    /// Makes the directories above `path` and fsyncs every one not known to be durable. One that
    /// exists may be another writer's, made a moment ago and not fsynced yet.
    fn prepare_parent(&self, path: &FsPath) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        let mut unknown = Vec::new();
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for directory in parent.ancestors() {
                if directory == self.root || known.contains(directory) {
                    break;
                }
                unknown.push(directory.to_owned());
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        self.disk.make_directories(parent)?;
        for directory in unknown.iter().rev() {
            if let Some(above) = directory.parent() {
                self.disk.sync_directory(above)?;
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + unknown.len() > MAX_KNOWN_DIRECTORIES {
            known.clear();
        }
        known.extend(unknown);
        Ok(())
    }

    /// Forgets the directories above `path`: someone removed them.
    fn forget(&self, path: &FsPath) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for directory in path.ancestors().skip(1) {
            known.remove(directory);
        }
    }

    /// Makes the entry of `path` in its directory, and that directory, durable.
    fn sync_parent(&self, path: &FsPath) -> io::Result<()> {
        self.prepare_parent(path)?;
        path.parent().map_or(Ok(()), |parent| self.disk.sync_directory(parent))
    }

    /// Removes keys, then fsyncs the directories they were in: what was deleted does not come back.
    fn delete(&self, paths: &LocalFileSystem, locations: Vec<Result<Path>>) -> Vec<Result<Path>> {
        let mut touched = HashSet::new();
        let mut remove = |location: Result<Path>| -> Result<Path> {
            let location = location?;
            let path = paths.path_to_filesystem(&location)?;
            self.disk.remove(&path).map_err(|error| failed(&path, error))?;
            touched.extend(path.parent().map(FsPath::to_owned));
            Ok(location)
        };
        let mut deleted: Vec<Result<Path>> = locations.into_iter().map(&mut remove).collect();
        for directory in touched {
            match self.disk.sync_directory(&directory) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => deleted.push(Err(failed(&directory, error))),
            }
        }
        deleted
    }
}

/// A file on its way to its place; removed if it never gets there.
#[derive(Debug)]
struct Staged {
    disk: Disk,
    file: File,
    path: PathBuf,
    target: PathBuf,
    published: bool,
}

impl Staged {
    /// A new file next to `target`.
    fn create(directories: &Directories, target: &FsPath) -> Result<Self> {
        for retry in [true, false] {
            directories.prepare_parent(target).map_err(|error| failed(target, error))?;
            match Self::open(&directories.disk, target) {
                Ok(staged) => return Ok(staged),
                Err(error) if retry && error.kind() == io::ErrorKind::NotFound => {
                    directories.forget(target);
                }
                Err(error) => return Err(failed(target, error)),
            }
        }
        Err(failed(target, io::ErrorKind::NotFound.into()))
    }

    fn open(disk: &Disk, target: &FsPath) -> io::Result<Self> {
        if planted(Mutant::WrittenInPlace) {
            let (disk, path, target) = (disk.clone(), target.to_owned(), target.to_owned());
            drop(disk.remove(&path));
            return Ok(Self { file: disk.create(&path)?, disk, path, target, published: false });
        }
        for number in 1..MAX_STAGED_FILES {
            let mut name = target.as_os_str().to_owned();
            name.push(format!("#{number}"));
            let path = PathBuf::from(name);
            match disk.create(&path) {
                Ok(file) => {
                    let (disk, target) = (disk.clone(), target.to_owned());
                    return Ok(Self { disk, file, path, target, published: false });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many staged files; remove the ones ending in #<number>"))
    }

    /// Writes the parts of a payload, one after another.
    fn write(&mut self, mut offset: u64, payload: &PutPayload) -> io::Result<()> {
        for part in payload.iter() {
            self.disk.write(&self.path, &mut self.file, offset, part)?;
            offset += part.len() as u64;
        }
        Ok(())
    }

    /// Fsyncs the bytes, puts them in place, fsyncs the directory.
    fn publish(&mut self, directories: &Directories, create: bool) -> Result<()> {
        let disk = &directories.disk;
        disk.sync(&self.path, &self.file).map_err(|error| failed(&self.target, error))?;
        if self.path == self.target {
            // A planted bug.
            self.published = true;
            return Ok(());
        }
        if create {
            disk.link(&self.path, &self.target)
        } else {
            disk.rename(&self.path, &self.target)
        }
        .map_err(|error| failed(&self.target, error))?;
        self.published = !create;
        directories.sync_parent(&self.target).map_err(|error| failed(&self.target, error))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: a leftover is invisible and costs only its bytes.
            drop(self.disk.remove(&self.path));
        }
    }
}

/// A multipart upload: parts at their offsets in one staged file.
#[derive(Debug)]
struct Upload {
    staged: Arc<Mutex<Option<Staged>>>,
    directories: Arc<Directories>,
    offset: u64,
}

/// What a finished upload answers to further calls.
fn finished() -> Error {
    Error::Generic { store: "DurableStore", source: "the upload is over".into() }
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let offset = self.offset;
        self.offset += data.content_length() as u64;
        let staged = Arc::clone(&self.staged);
        Box::pin(blocking(move || {
            let mut staged = staged.lock().unwrap_or_else(PoisonError::into_inner);
            let staged = staged.as_mut().ok_or_else(finished)?;
            staged.write(offset, &data).map_err(|error| failed(&staged.target, error))
        }))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = Arc::clone(&self.staged);
        let directories = Arc::clone(&self.directories);
        blocking(move || {
            let mut staged = staged.lock().unwrap_or_else(PoisonError::into_inner);
            let mut staged = staged.take().ok_or_else(finished)?;
            staged.publish(&directories, false)?;
            Ok(PutResult { e_tag: None, version: None })
        })
        .await
    }

    async fn abort(&mut self) -> Result<()> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}

/// Runs file work where it may block; works without a runtime too.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => {
            runtime.spawn_blocking(work).await.map_err(|source| Error::JoinError { source })?
        }
        Err(_) => work(),
    }
}

/// The store error for an IO error at `path`.
fn failed(path: &FsPath, error: io::Error) -> Error {
    let path = path.display().to_string();
    match error.kind() {
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: error.into() },
        io::ErrorKind::NotFound => Error::NotFound { path, source: error.into() },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: error.into() },
        _ => Error::Generic { store: "DurableStore", source: format!("{path}: {error}").into() },
    }
}
