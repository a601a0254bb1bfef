//! A certificate that the server makes for itself, for those who have none: clients that are given it can verify the
//! server, all others at least encrypt.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use bcder::Oid;
use bytes::Bytes;
use x509_certificate::{EcdsaCurve, KeyAlgorithm, X509CertificateBuilder};

use crate::failure::{Failure, Result};

/// `2.5.29.17`
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const VALID_DAYS: i64 = 3650;

/// The files of the certificate and of its key. They are made if they are not there; nobody else may read the key.
pub fn own(place: &Path, listen: IpAddr) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (place.with_extension("crt"), place.with_extension("key"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let doing =
        |error: &(dyn std::error::Error + 'static)| Failure::doing("making a certificate", error);
    let (certificate_pem, key_pem) = make(listen).map_err(|error| doing(&error))?;
    if let Some(folder) = place.parent() {
        std::fs::create_dir_all(folder).map_err(|error| doing(&error))?;
    }
    write(&key, &key_pem, 0o600).map_err(|error| doing(&error))?;
    write(&certificate, &certificate_pem, 0o644).map_err(|error| doing(&error))?;
    eprintln!(
        "made a certificate: {}; clients that verify the server need it (sslrootcert)",
        certificate.display()
    );
    Ok((certificate, key))
}

fn make(listen: IpAddr) -> Result<(String, String), x509_certificate::X509CertificateError> {
    let mut builder = X509CertificateBuilder::default();
    builder
        .subject()
        .append_common_name_utf8_string("localhost")
        .expect("ASCII is UTF-8");
    builder.serial_number(i64::from(rand::random::<u32>()) + 1);
    builder.validity_duration(chrono::Duration::days(VALID_DAYS));
    let oid = Oid(Bytes::from_static(SUBJECT_ALTERNATIVE_NAME));
    builder.add_extension_der_data(oid, true, names(listen));
    let algorithm = KeyAlgorithm::Ecdsa(EcdsaCurve::Secp256r1);
    let (certificate, key) = builder.create_with_random_keypair(algorithm)?;
    let key = key.to_pkcs8_one_asymmetric_key_der();
    Ok((certificate.encode_pem(), pem("PRIVATE KEY", &key)))
}

/// What the server may be called, as a sequence of general names in DER: localhost, and its addresses.
fn names(listen: IpAddr) -> Vec<u8> {
    let mut addresses = vec![
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    if !listen.is_unspecified() && !addresses.contains(&listen) {
        addresses.push(listen);
    }
    let mut names = Vec::new();
    let mut put = |tag: u8, name: &[u8]| {
        names.push(tag);
        names.push(name.len() as u8);
        names.extend_from_slice(name);
    };
    put(0x82, b"localhost");
    for address in addresses {
        match address {
            IpAddr::V4(address) => put(0x87, &address.octets()),
            IpAddr::V6(address) => put(0x87, &address.octets()),
        }
    }
    let mut sequence = vec![0x30, names.len() as u8];
    sequence.extend(names);
    sequence
}

fn pem(what: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {what}-----");
    for (n, group) in der.chunks(3).enumerate() {
        if n % 16 == 0 {
            text.push('\n');
        }
        let mut bytes = [0; 4];
        bytes[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(bytes);
        for place in 0..4 {
            text.push(match place > group.len() {
                true => '=',
                false => char::from(LETTERS[(bits >> (18 - 6 * place) & 63) as usize]),
            });
        }
    }
    format!("{text}\n-----END {what}-----\n")
}

fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_can_use_it_and_keeps_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().join("endpoint");
        let listen = IpAddr::from([192, 168, 1, 2]);
        let (certificate, key) = own(&place, listen).expect("made");
        rapport_pgwire::Tls::open(&certificate, &key, true).expect("a pair");
        let before = std::fs::read(&certificate).expect("there");
        own(&place, listen).expect("kept");
        assert_eq!(std::fs::read(&certificate).expect("there"), before);
    }

    #[test]
    fn pem_is_base64_in_lines() {
        assert_eq!(
            pem("X", b"Man"),
            "-----BEGIN X-----\nTWFu\n-----END X-----\n"
        );
        assert_eq!(
            pem("X", b"Ma"),
            "-----BEGIN X-----\nTWE=\n-----END X-----\n"
        );
        assert_eq!(pem("X", b"M"), "-----BEGIN X-----\nTQ==\n-----END X-----\n");
    }
}
