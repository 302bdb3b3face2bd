//! Our end of DTLS handshakes, and the safety number that two people compare.

use super::config::{set, subrosa_config};
use super::guard::{Access, Failure, Handle, Texts, enter, free, guard, last_error, live};
use super::pointer::{Out, slice, slice_mut, subrosa_str};
use super::status::{
    SUBROSA_ERR_CERTIFICATE, SUBROSA_ERR_INVALID, SUBROSA_ERR_LIMIT, SUBROSA_ERR_MISMATCH,
    SUBROSA_ERR_NOT_SUPPORTED, SUBROSA_ERR_PANIC, SUBROSA_ERR_SYSTEM, status_of, subrosa_status,
};
use crate::crypto::dtls::{DtlsIdentity, DtlsIdentityError, Fingerprint, FingerprintHash};
use crate::crypto::safety_number::{SafetyNumber, SafetyNumberError};
use crate::engine::{CallError, Config};

/// Bytes of a safety number's code to scan.
pub const SUBROSA_SAFETY_NUMBER_SCAN_LEN: usize = 65;

impl From<DtlsIdentityError> for Failure {
    fn from(error: DtlsIdentityError) -> Self {
        let status = match error {
            DtlsIdentityError::Generator => SUBROSA_ERR_SYSTEM,
            _ => SUBROSA_ERR_CERTIFICATE,
        };
        Self::new(status, error)
    }
}

impl From<SafetyNumberError> for Failure {
    fn from(error: SafetyNumberError) -> Self {
        let status = match error {
            SafetyNumberError::Mismatch => SUBROSA_ERR_MISMATCH,
            SafetyNumberError::OtherVersion => SUBROSA_ERR_NOT_SUPPORTED,
            _ => SUBROSA_ERR_INVALID,
        };
        Self::new(status, error)
    }
}

/// Bytes into C's buffer; their number. Without any room only the number is asked for.
pub(super) fn write_bytes(buf: &mut [u8], bytes: &[u8]) -> Result<usize, Failure> {
    if !buf.is_empty() {
        let room = buf.get_mut(..bytes.len()).ok_or_else(|| {
            Failure::new(SUBROSA_ERR_LIMIT, format!("the buffer must have {} bytes", bytes.len()))
        })?;
        room.copy_from_slice(bytes);
    }
    Ok(bytes.len())
}

/// A fingerprint that C gave as text.
pub(super) fn fingerprint(text: &str) -> Result<Fingerprint, Failure> {
    Fingerprint::parse(text).map_err(Failure::invalid)
}

/// The certificate and private key of a phone's DTLS handshakes, freed by who made it.
#[derive(Debug)]
pub struct subrosa_dtls_identity(Handle<DtlsIdentity>);

impl subrosa_dtls_identity {
    fn boxed(identity: DtlsIdentity) -> *mut Self {
        Box::into_raw(Box::new(Self(Handle::new(identity))))
    }
}

/// Reads an identity.
unsafe fn with_identity(
    identity: *const subrosa_dtls_identity,
    run: impl FnOnce(&DtlsIdentity, &mut Texts) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(identity) }.map(|identity| &identity.0);
    enter(handle, Access::Read, |identity, texts| run(identity, texts))
}

/// Makes a key and a self-signed certificate that names nobody, with the configuration's
/// generator and wall clock. Keep it, by subrosa_dtls_identity_export: peers recognize it. It is
/// not in the configuration yet: see subrosa_config_set_dtls_identity.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtls_identity_generate(
    config: *mut subrosa_config,
    out: *mut *mut subrosa_dtls_identity,
) -> subrosa_status {
    let generate = |config: &mut Config| {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        let identity = DtlsIdentity::generate(config.unix_time, &mut config.rng)?;
        out.write(subrosa_dtls_identity::boxed(identity));
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, generate) }
}

/// Takes back what subrosa_dtls_identity_export gave; SUBROSA_ERR_CERTIFICATE for other bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtls_identity_import(
    bytes: *const u8,
    len: usize,
    out: *mut *mut subrosa_dtls_identity,
) -> subrosa_status {
    let import = || {
        // SAFETY: the caller's promise.
        let (bytes, out) = unsafe { (slice(bytes, len)?, Out::new(out)?) };
        out.write(subrosa_dtls_identity::boxed(DtlsIdentity::import(bytes)?));
        Ok(())
    };
    guard(|| status_of(import()), SUBROSA_ERR_PANIC)
}

/// Takes a certificate (DER) and its private key (PKCS #8, DER), both ECDSA P-256.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtls_identity_from_der(
    certificate: *const u8,
    certificate_len: usize,
    key: *const u8,
    key_len: usize,
    out: *mut *mut subrosa_dtls_identity,
) -> subrosa_status {
    let take = || {
        // SAFETY: the caller's promise.
        let (certificate, key, out) =
            unsafe { (slice(certificate, certificate_len)?, slice(key, key_len)?, Out::new(out)?) };
        out.write(subrosa_dtls_identity::boxed(DtlsIdentity::from_der(certificate, key)?));
        Ok(())
    };
    guard(|| status_of(take()), SUBROSA_ERR_PANIC)
}

/// Frees an identity and wipes its key; NULL is fine. What it was given to keeps its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtls_identity_free(identity: *mut subrosa_dtls_identity) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(identity) }, ());
}

/// Certificate and private key as bytes, for a safe place: `len` is how many. A room of 0 asks
/// for their number alone; one that is too small gives SUBROSA_ERR_LIMIT. Wipe the buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtls_identity_export(
    identity: *const subrosa_dtls_identity,
    buf: *mut u8,
    room: usize,
    len: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_identity(identity, |identity, _| {
            let (buf, len) = (slice_mut(buf, room)?, Out::new(len)?);
            len.write(write_bytes(buf, identity.export().expose())?);
            Ok(())
        })
    }
}

/// The certificate, DER; room and length as in subrosa_dtls_identity_export.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtls_identity_certificate(
    identity: *const subrosa_dtls_identity,
    buf: *mut u8,
    room: usize,
    len: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_identity(identity, |identity, _| {
            let (buf, len) = (slice_mut(buf, room)?, Out::new(len)?);
            len.write(write_bytes(buf, identity.certificate())?);
            Ok(())
        })
    }
}

/// The certificate's SHA-256 fingerprint, as in a session description: "sha-256 AB:CD:...".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_dtls_identity_fingerprint(
    identity: *const subrosa_dtls_identity,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_identity(identity, |identity, texts| {
            let fingerprint = identity.fingerprint(FingerprintHash::Sha256);
            Out::new(out)?.write(texts.lend(&fingerprint.to_string()));
            Ok(())
        })
    }
}

/// Our end of DTLS handshakes; without it the engine makes one that nobody will recognize the
/// next time. The identity is copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_dtls_identity(
    config: *mut subrosa_config,
    identity: *const subrosa_dtls_identity,
) -> subrosa_status {
    let mut copy = None;
    let take = |identity: &DtlsIdentity, _: &mut Texts| {
        copy = Some(identity.clone());
        Ok(())
    };
    // SAFETY: the caller's promise.
    let status = unsafe { with_identity(identity, take) };
    let Some(identity) = copy else { return status };
    let change = |config: &mut Config| {
        config.dtls_identity = Some(identity);
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// The safety number of two identities, freed by who made it.
#[derive(Debug)]
pub struct subrosa_safety_number(Handle<SafetyNumber>);

impl subrosa_safety_number {
    /// A call's safety number, if it has one.
    pub(super) fn boxed(number: Option<SafetyNumber>) -> Result<*mut Self, Failure> {
        let number = number.ok_or(CallError::NoSafetyNumber)?;
        Ok(Box::into_raw(Box::new(Self(Handle::new(number)))))
    }
}

/// Reads a safety number.
unsafe fn with_number(
    number: *const subrosa_safety_number,
    run: impl FnOnce(&SafetyNumber, &mut Texts) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(number) }.map(|number| &number.0);
    enter(handle, Access::Read, |number, texts| run(number, texts))
}

/// Makes the safety number of our identity and the peer's: their SHA-256 fingerprints, as
/// subrosa_dtls_identity_fingerprint gives them, and what both ends call each of them by and
/// that does not change, such as the address of record. It takes some milliseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_safety_number_new(
    own_fingerprint: subrosa_str,
    own_id: subrosa_str,
    peer_fingerprint: subrosa_str,
    peer_id: subrosa_str,
    out: *mut *mut subrosa_safety_number,
) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        let (own, peer, out) =
            unsafe { (own_fingerprint.text()?, peer_fingerprint.text()?, Out::new(out)?) };
        // SAFETY: the caller's promise.
        let (own_id, peer_id) = unsafe { (own_id.text()?, peer_id.text()?) };
        let number = SafetyNumber::new(&fingerprint(own)?, own_id, &fingerprint(peer)?, peer_id)?;
        out.write(subrosa_safety_number::boxed(Some(number))?);
        Ok(())
    };
    guard(|| status_of(make()), SUBROSA_ERR_PANIC)
}

/// Frees a safety number; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_safety_number_free(number: *mut subrosa_safety_number) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(number) }, ());
}

/// What the last failing function on this safety number had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_safety_number_last_error(
    number: *const subrosa_safety_number,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(number).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

/// The 60 digits, the same on both ends, as two people compare them: twelve groups of five with
/// blanks between them. They live as long as the safety number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_safety_number_digits(
    number: *const subrosa_safety_number,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_number(number, |number, texts| {
            Out::new(out)?.write(texts.lend(&number.to_string()));
            Ok(())
        })
    }
}

/// Compares with digits that somebody typed or read aloud; blanks do not count. SUBROSA_OK if
/// they are the same, SUBROSA_ERR_MISMATCH if they are not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_safety_number_verify_digits(
    number: *const subrosa_safety_number,
    digits: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_number(number, |number, _| match number.verify_digits(digits.text()?) {
            true => Ok(()),
            false => Err(SafetyNumberError::Mismatch.into()),
        })
    }
}

/// The bytes of the code that the peer scans, in a QR code's binary mode: `len` is
/// SUBROSA_SAFETY_NUMBER_SCAN_LEN. Room and length as in subrosa_dtls_identity_export.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_safety_number_scan_payload(
    number: *const subrosa_safety_number,
    buf: *mut u8,
    room: usize,
    len: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_number(number, |number, _| {
            let (buf, len) = (slice_mut(buf, room)?, Out::new(len)?);
            len.write(write_bytes(buf, &number.scan_payload())?);
            Ok(())
        })
    }
}

/// Compares with the bytes of the code on the peer's screen. SUBROSA_OK if they are of the same
/// two identities; SUBROSA_ERR_MISMATCH if not: show it, somebody may be in between. Of a code of
/// another version (SUBROSA_ERR_NOT_SUPPORTED) or another kind (SUBROSA_ERR_INVALID) nothing
/// follows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_safety_number_verify_scanned(
    number: *const subrosa_safety_number,
    payload: *const u8,
    len: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { with_number(number, |number, _| Ok(number.verify_scanned(slice(payload, len)?)?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constant_is_the_length_of_the_code() {
        assert_eq!(SUBROSA_SAFETY_NUMBER_SCAN_LEN, SafetyNumber::SCAN_LEN);
    }

    #[test]
    fn a_buffer_is_asked_for_filled_or_too_small() {
        let mut room = [7; 4];
        assert_eq!(write_bytes(&mut [], b"abc").unwrap(), 3);
        assert_eq!(write_bytes(&mut room, b"abc").unwrap(), 3);
        assert_eq!(&room, b"abc\x07");
        let short = write_bytes(&mut room, b"abcde").unwrap_err();
        assert_eq!(short.status, SUBROSA_ERR_LIMIT);
        assert_eq!(&room, b"abc\x07");
    }
}
