use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::find;

/// A certificate for 127.0.0.1, and the authority that signed it, both made a moment ago.
#[derive(Debug)]
pub struct Certificates {
    dir: TempDir,
}

const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];

impl Certificates {
    /// Makes them, or returns `None` if openssl is not installed.
    ///
    /// # Panics
    ///
    /// If openssl cannot.
    #[must_use]
    pub fn make() -> Option<Self> {
        let openssl = find("openssl")?;
        let dir = tempfile::tempdir().expect("a directory for temporary files");
        let run = |args: &[&str]| {
            let status = Command::new(&openssl)
                .args(args)
                .current_dir(dir.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            assert!(status.is_ok_and(|status| status.success()), "{args:?}");
        };
        let authority = ["-x509", "-days", "2", "-subj", "/CN=authority"];
        let files = ["-keyout", "authority.key", "-out", "authority.pem"];
        run(&[&["req"], &KEY[..], &authority, &files].concat());
        let request = [
            "-subj",
            "/CN=store",
            "-keyout",
            "key.pem",
            "-out",
            "request.pem",
        ];
        run(&[&["req"], &KEY[..], &request].concat());
        fs::write(dir.path().join("names"), "subjectAltName=IP:127.0.0.1\n")
            .expect("a file in a new directory");
        let by = [
            "-CA",
            "authority.pem",
            "-CAkey",
            "authority.key",
            "-CAcreateserial",
        ];
        let files = [
            "-in",
            "request.pem",
            "-extfile",
            "names",
            "-out",
            "certificate.pem",
        ];
        run(&[&["x509", "-req", "-days", "2"], &by[..], &files].concat());
        Some(Self { dir })
    }

    /// The authority's own certificate, in PEM.
    ///
    /// # Panics
    ///
    /// If it is gone.
    #[must_use]
    pub fn authority(&self) -> Vec<u8> {
        fs::read(self.path("authority.pem")).expect("the file made before")
    }

    /// The certificate and its key, in PEM.
    ///
    /// # Panics
    ///
    /// If they are gone.
    #[must_use]
    pub fn certificate(&self) -> [Vec<u8>; 2] {
        ["certificate.pem", "key.pem"]
            .map(|file| fs::read(self.path(file)).expect("the file made before"))
    }

    /// What has a server listen on this port over TLS.
    #[must_use]
    pub fn config(&self, port: u16) -> String {
        format!(
            "tls-port {port}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\n",
            self.path("certificate.pem").display(),
            self.path("key.pem").display(),
            self.path("authority.pem").display()
        )
    }

    fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(file)
    }
}
