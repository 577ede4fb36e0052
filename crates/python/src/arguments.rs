//! Python's arguments, as the engine wants them.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::str::FromStr as _;

use pyo3::prelude::*;
use warmfork_engine::policy::{HostPattern, Rule, Rules, Volume};
use warmfork_engine::{MachineLimits, ServeOptions as EngineOptions};

use crate::errors::PolicyError;
use crate::waiting::duration;

/// `PolicySpec` of the stub: `None` allows everything.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct PolicySpec {
    read: Option<Vec<PathBuf>>,
    write: Option<Vec<PathBuf>>,
    connect: Option<Vec<String>>,
    listen: Option<Vec<String>>,
    volumes: Vec<(PathBuf, PathBuf, bool)>,
}

fn rule<T>(entries: Option<Vec<T>>) -> Rule<T> {
    match entries {
        None => Rule::Everything,
        Some(entries) if entries.is_empty() => Rule::Nothing,
        Some(entries) => Rule::Only(entries),
    }
}

fn hosts(entries: Option<Vec<String>>) -> PyResult<Rule<HostPattern>> {
    entries.map(|entries| patterns(&entries)).transpose().map(rule)
}

/// Patterns of hosts and ports. Looks up host names.
pub fn patterns(entries: &[String]) -> PyResult<Vec<HostPattern>> {
    let parse = |text: &String| HostPattern::from_str(text).map_err(|error| PolicyError::new_err(error.to_string()));
    entries.iter().map(parse).collect()
}

impl PolicySpec {
    /// The rules. The environment has been picked in Python already. Looks up host names.
    pub fn rules(self) -> PyResult<Rules> {
        let volumes = self.volumes.into_iter();
        Ok(Rules {
            read: rule(self.read),
            write: rule(self.write),
            environment: Rule::Everything,
            connect: hosts(self.connect)?,
            listen: hosts(self.listen)?,
            volumes: volumes.map(|(host, guest, writable)| Volume { host, guest, writable }).collect(),
            programs: Vec::new(),
        })
    }
}

/// `Limits` of `warmfork.options`.
#[derive(FromPyObject)]
pub struct Limits {
    memory: u64,
    address_space: u64,
    files: u64,
    threads: usize,
    processes: usize,
}

impl From<Limits> for MachineLimits {
    fn from(limits: Limits) -> Self {
        Self {
            memory_bytes: limits.memory,
            address_space_bytes: limits.address_space,
            files: limits.files,
            threads: limits.threads,
            processes: limits.processes,
        }
    }
}

/// `ServeOptions` of `warmfork.options`, where 0 is no limit.
#[derive(FromPyObject)]
pub struct ServeOptions {
    threads: usize,
    ephemeral: bool,
    max_request_time: f64,
    max_idle_time: f64,
    max_request_memory: u64,
    limit_request_memory: u64,
}

impl TryFrom<ServeOptions> for EngineOptions {
    type Error = PyErr;

    fn try_from(options: ServeOptions) -> PyResult<Self> {
        let max_request_time = duration(options.max_request_time)?;
        let max_idle_time = duration(options.max_idle_time)?;
        Ok(Self {
            threads: options.threads,
            ephemeral: options.ephemeral,
            max_request_time: (!max_request_time.is_zero()).then_some(max_request_time),
            max_idle_time: (!max_idle_time.is_zero()).then_some(max_idle_time),
            max_request_memory: (options.max_request_memory != 0).then_some(options.max_request_memory),
            limit_request_memory: options.limit_request_memory,
        })
    }
}

/// The bytes of a string, as the file system has them.
pub fn bytes(text: OsString) -> Vec<u8> {
    text.into_vec()
}

/// `NAME=value`.
pub fn variable((name, value): (OsString, OsString)) -> Vec<u8> {
    let mut bytes = name.into_vec();
    bytes.push(b'=');
    bytes.extend(value.into_vec());
    bytes
}

/// A copy of one of this process's descriptors, which Python names by number.
pub fn duplicate(fd: i32) -> PyResult<OwnedFd> {
    warmfork_host::duplicate(fd).map_err(|error| std::io::Error::from_raw_os_error(error.0).into())
}
