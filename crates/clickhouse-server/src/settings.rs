//! What a server is told, as its configuration file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where a server lives and listens. Loopback only.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Holds the data, the configuration and the log. Made when it is not there.
    pub directory: PathBuf,
    pub http_port: u16,
    pub native_port: u16,
    /// Bounds the whole server; a query that would go past it is refused.
    pub memory_mb_max: u32,
}

/// ClickHouse's own caches default to gigabytes.
const CACHE_MB_MAX: u32 = 64;

impl Settings {
    pub(crate) fn data(&self) -> PathBuf {
        data_of(&self.directory)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    pub(crate) fn write(&self) -> io::Result<()> {
        fs::create_dir_all(self.data())?;
        fs::write(configuration_of(&self.directory), self.configuration())
    }

    /// None of ClickHouse's log tables (`query_log` and the like) is configured, so none is kept: their constant small
    /// inserts cost more than an idle server's everything else.
    fn configuration(&self) -> String {
        let bytes = |mb: u32| u64::from(mb) << 20;
        let data = escaped(&self.data());
        format!(
            "<clickhouse>\n\
             <path>{data}/</path>\n\
             <tmp_path>{data}/tmp/</tmp_path>\n\
             <listen_host>127.0.0.1</listen_host>\n\
             <http_port>{http}</http_port>\n\
             <tcp_port>{native}</tcp_port>\n\
             <max_server_memory_usage>{memory}</max_server_memory_usage>\n\
             <mark_cache_size>{cache}</mark_cache_size>\n\
             <index_mark_cache_size>{cache}</index_mark_cache_size>\n\
             <uncompressed_cache_size>{cache}</uncompressed_cache_size>\n\
             <mlock_executable>false</mlock_executable>\n\
             <logger><level>warning</level><console>true</console></logger>\n\
             <profiles><default></default></profiles>\n\
             <quotas><default></default></quotas>\n\
             <users><default><password></password><profile>default</profile><quota>default</quota>\
             <networks><ip>127.0.0.1</ip></networks></default></users>\n\
             </clickhouse>\n",
            http = self.http_port,
            native = self.native_port,
            memory = bytes(self.memory_mb_max),
            cache = bytes(CACHE_MB_MAX),
        )
    }
}

/// The data lies apart from our own files.
pub(crate) fn data_of(directory: &Path) -> PathBuf {
    directory.join("data")
}

pub(crate) fn configuration_of(directory: &Path) -> PathBuf {
    directory.join("server.xml")
}

fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_loopback_only_and_bounded() {
        let settings = Settings {
            directory: "/somewhere/a&b".into(),
            http_port: 20_001,
            native_port: 20_002,
            memory_mb_max: 1_024,
        };
        let text = settings.configuration();
        assert!(text.contains("<listen_host>127.0.0.1</listen_host>"), "{text}");
        assert_eq!(text.matches("<listen_host>").count(), 1);
        assert!(text.contains("<path>/somewhere/a&amp;b/data/</path>"), "{text}");
        assert!(text.contains("<max_server_memory_usage>1073741824<"), "{text}");
    }
}
