//! TLS: the server's certificate, read again when its files change, and a stream that may become encrypted.
//!
//! Whoever renews a certificate replaces two files, and not at one moment. So a pair that does not fit together is
//! told to the log, and the one before it stays in use; the next connection after the next change tries again.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use pgwire::api::auth::sasl::scram::ScramServerAuth;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The protocol's name in ALPN, which a client that begins with TLS at once has to say.
pub const ALPN: &[u8] = b"postgresql";

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("reading {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} holds no certificate in PEM form")]
    NoCertificate { path: PathBuf },
    #[error("{path} holds no private key in PEM form, or one with a password")]
    NoKey { path: PathBuf },
    #[error("the certificate in {certificate} and the key in {key} can't be used")]
    Unusable {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
}

/// A certificate and its key, as the files say now. TLS 1.2 and 1.3.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    is_required: bool,
    current: Mutex<Current>,
}

#[derive(Clone, Debug)]
struct Current {
    stamps: [Option<Stamp>; 2],
    identity: Arc<Identity>,
}

/// Tells whether a file is still the same.
type Stamp = (SystemTime, u64);

/// What the server shows of itself to one client.
pub struct Identity {
    acceptor: TlsAcceptor,
    /// Knows the certificate, so that SCRAM can be bound to it.
    pub scram: ScramServerAuth,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the two files, both in PEM form: the certificate with those above it, and its key without a password.
    /// With `is_required` a session that is not encrypted is refused (28000).
    pub fn open(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        is_required: bool,
    ) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let current = Current {
            stamps: [stamp(&certificate), stamp(&key)],
            identity: Arc::new(Identity::read(&certificate, &key)?),
        };
        Ok(Self {
            certificate,
            key,
            is_required,
            current: Mutex::new(current),
        })
    }

    pub fn is_required(&self) -> bool {
        self.is_required
    }

    /// Reads the files again, for connections to come; if they can't be used, what was read before stays in use.
    pub fn reload(&self) {
        let stamps = [stamp(&self.certificate), stamp(&self.key)];
        let read = Identity::read(&self.certificate, &self.key);
        let mut current = self.lock();
        current.stamps = stamps;
        match read {
            Ok(identity) => {
                current.identity = Arc::new(identity);
                tracing::info!(certificate = %self.certificate.display(), "the certificate was read again");
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "the new certificate can't be used; the one before stays");
            }
        }
    }

    /// For a new connection: read again first if a file has changed.
    pub fn identity(&self) -> Arc<Identity> {
        let stamps = [stamp(&self.certificate), stamp(&self.key)];
        if self.lock().stamps != stamps {
            self.reload();
        }
        self.lock().identity.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        // Nothing in here can panic half-way through a change.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Identity {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::File {
                path: path.to_owned(),
                source,
            })
        };
        let no_certificate = || TlsError::NoCertificate {
            path: certificate.to_owned(),
        };
        let pem = read(certificate)?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|_| no_certificate())?;
        if chain.is_empty() {
            return Err(no_certificate());
        }
        let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| TlsError::NoKey {
            path: key.to_owned(),
        })?;
        let unusable = |source| TlsError::Unusable {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        };
        let mut scram = ScramServerAuth::new();
        // Some signatures have no hash that both sides would know; then there is nothing to bind to.
        if let Err(error) = scram.configure_certificate(&pem) {
            tracing::info!(%error, "SCRAM-SHA-256-PLUS is not offered with this certificate");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .map_err(unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Connections last; nobody resumes one.
        config.send_tls13_tickets = 0;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            scram,
        })
    }
}

/// What one client's bytes are encrypted with, in OpenSSL's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Cipher {
    pub version: String,
    pub name: String,
    pub bits: i32,
}

impl Cipher {
    /// Of rustls's names, such as `TLSv1_3` and `TLS13_AES_256_GCM_SHA384`.
    fn new(version: &str, suite: &str) -> Self {
        let name = match suite.strip_prefix("TLS13_") {
            Some(suite) => format!("TLS_{suite}"),
            None => suite
                .trim_start_matches("TLS_")
                .replace("WITH_", "")
                .replace("AES_", "AES")
                .replace("POLY1305_SHA256", "POLY1305")
                .replace('_', "-"),
        };
        Self {
            version: version.replace('_', "."),
            bits: if name.contains("128") { 128 } else { 256 },
            name,
        }
    }
}

/// One client's bytes: in the clear, until the client asks for encryption.
pub enum Transport<S> {
    Plain(S),
    Encrypted(Box<TlsStream<Rewound<S>>>),
    /// Encryption was tried, and failed.
    Lost,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// Becomes encrypted; `first` has been read of the client's part already.
    pub async fn encrypt(&mut self, identity: &Identity, first: Bytes) -> io::Result<()> {
        let Transport::Plain(stream) = std::mem::replace(self, Transport::Lost) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let stream = Rewound { first, stream };
        let encrypted = Box::pin(identity.acceptor.accept(stream)).await?;
        *self = Transport::Encrypted(Box::new(encrypted));
        Ok(())
    }

    pub fn is_encrypted(&self) -> bool {
        matches!(self, Transport::Encrypted(_))
    }

    /// How it is encrypted, if it is.
    pub fn cipher(&self) -> Option<Cipher> {
        let Transport::Encrypted(stream) = self else {
            return None;
        };
        let tls = stream.get_ref().1;
        let version = tls.protocol_version()?.as_str()?;
        let suite = tls.negotiated_cipher_suite()?.suite();
        Some(Cipher::new(version, suite.as_str()?))
    }

    /// Whether both sides have agreed, in TLS, on what is spoken in it.
    pub fn has_alpn(&self) -> bool {
        match self {
            Transport::Encrypted(stream) => stream.get_ref().1.alpn_protocol() == Some(ALPN),
            Transport::Plain(_) | Transport::Lost => false,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Lost => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Lost => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Encrypted(stream) => Pin::new(stream).poll_flush(context),
            Transport::Lost => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Lost => Poll::Ready(Ok(())),
        }
    }
}

/// A stream of which something has been read already, and is read once more.
pub struct Rewound<S> {
    first: Bytes,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let length = this.first.len().min(buffer.remaining());
        buffer.put_slice(&this.first[..length]);
        this.first.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: &str, suite: &str, expected: (&str, &str, i32)) {
        let cipher = Cipher::new(version, suite);
        let told = (&*cipher.version, &*cipher.name, cipher.bits);
        assert_eq!(told, expected, "{suite}");
    }

    #[test]
    fn ciphers_have_the_names_of_openssl() {
        check(
            "TLSv1_3",
            "TLS13_AES_256_GCM_SHA384",
            ("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256),
        );
        check(
            "TLSv1_2",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", 128),
        );
        check(
            "TLSv1_2",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", 256),
        );
    }
}
