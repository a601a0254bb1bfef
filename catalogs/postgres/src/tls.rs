//! TLS to a server of the user's own, asked for in its URL as libpq's clients ask: `?sslmode=verify-full&sslrootcert=ca.crt`.

use std::io;
use std::sync::Arc;

use postgres_protocol::message::frontend;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::connection::Socket;

/// What `sslmode` says, and the authorities to believe.
#[derive(Clone)]
pub(crate) enum Tls {
    Never,
    /// Where the server has it; unlike libpq's default this is asked for.
    Prefer(Arc<ClientConfig>),
    Always(Arc<ClientConfig>),
}

/// How much of the server's certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Nothing,
    Authority,
    AuthorityAndName,
}

/// The URL without what concerns TLS, and that. `Err` says what is wrong with it.
///
/// `sslmode` is `disable`, `prefer` (when none is given), `require`, `verify-ca` or `verify-full`; `sslrootcert` is a
/// file of certificates in PEM form, with which `require` checks as `verify-ca` does. Without one the system's are believed.
pub(crate) fn parse(url: &str) -> Result<(String, Tls), String> {
    let (start, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut authorities) = ("prefer".to_owned(), None);
    let mut others = vec![];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = value.to_owned(),
            Some(("sslrootcert", value)) => authorities = Some(decoded(value)),
            _ => others.push(pair),
        }
    }
    let rest = match others.as_slice() {
        [] => start.to_owned(),
        others => format!("{start}?{}", others.join("&")),
    };
    let check = match mode.as_str() {
        "disable" => return Ok((rest, Tls::Never)),
        "prefer" => Check::Nothing,
        "require" if authorities.is_none() => Check::Nothing,
        "require" | "verify-ca" => Check::Authority,
        "verify-full" => Check::AuthorityAndName,
        _ => {
            return Err(format!(
                "sslmode {mode} is not known; there are disable, prefer, require, verify-ca and verify-full"
            ));
        }
    };
    let config = Arc::new(config(check, authorities.as_deref())?);
    Ok(match mode.as_str() {
        "prefer" => (rest, Tls::Prefer(config)),
        _ => (rest, Tls::Always(config)),
    })
}

/// Asks the server for TLS, and takes it.
pub(crate) async fn encrypted(
    mut socket: TcpStream,
    host: &str,
    tls: &Tls,
) -> io::Result<Box<dyn Socket>> {
    let (config, is_required) = match tls {
        Tls::Never => return Ok(Box::new(socket)),
        Tls::Prefer(config) => (config, false),
        Tls::Always(config) => (config, true),
    };
    let mut request = bytes::BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request).await?;
    match socket.read_u8().await? {
        b'S' => {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let connector = TlsConnector::from(config.clone());
            Ok(Box::new(connector.connect(name, socket).await?))
        }
        _ if is_required => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the server does not support TLS, and sslmode asks for it",
        )),
        _ => Ok(Box::new(socket)),
    }
}

fn config(check: Check, authorities: Option<&str>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier {
        check,
        inner: match check {
            Check::Nothing => None,
            _ => Some(verifier(authorities, provider.clone())?),
        },
        algorithms: provider.signature_verification_algorithms,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn verifier(
    authorities: Option<&str>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(file) => {
            let wrong = |error: &dyn std::fmt::Display| format!("sslrootcert {file}: {error}");
            let found = CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| wrong(&error))?;
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| {
            format!(
                "no certificates to check the server's with ({error}); name a file with sslrootcert"
            )
        })
}

/// `require` believes everybody, `verify-ca` does not ask for the name.
#[derive(Debug)]
struct Verifier {
    check: Check,
    inner: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        match inner.verify_server_cert(certificate, above, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Authority => Ok(ServerCertVerified::assertion()),
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// `%2F` is a slash.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = behind
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            &behind[2..]
        } else {
            behind
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_tls_is_taken_out_of_the_url() {
        let (rest, tls) =
            parse("postgres://ann@db/x?sslmode=require&connect_timeout=3").expect("a good URL");
        assert_eq!(rest, "postgres://ann@db/x?connect_timeout=3");
        assert!(matches!(tls, Tls::Always(_)));
    }

    #[test]
    fn tls_is_taken_where_the_server_has_it() {
        assert!(matches!(
            parse("postgres://ann@db/x"),
            Ok((rest, Tls::Prefer(_))) if rest == "postgres://ann@db/x"
        ));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let refused = parse("postgres://db/x?sslmode=verify-full&sslrootcert=%2Fnowhere.crt");
        assert!(
            refused
                .err()
                .is_some_and(|what| what.contains("/nowhere.crt"))
        );
    }

    #[test]
    fn an_unknown_mode_is_refused() {
        assert!(parse("postgres://db/x?sslmode=maybe").is_err());
    }
}
