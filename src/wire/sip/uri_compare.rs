//! When two URIs mean the same (RFC 3261 §19.1.4, RFC 3966 §4).

use super::escape::hex_pair;
use super::params::UriParams;
use super::uri::UriRef;
use super::uri_parts::Scheme;

/// More parameters than any honest URI has; comparing them all would be quadratic.
const MAX_COMPARED: usize = 32;

/// Parameters that, in one URI alone, make a difference.
const DECISIVE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

pub(super) fn equivalent(a: UriRef<'_>, b: UriRef<'_>) -> bool {
    if a.as_str() == b.as_str() {
        return true;
    }
    if a.scheme() != b.scheme() || a.scheme() == Scheme::Other {
        return a.scheme_str().eq_ignore_ascii_case(b.scheme_str()) && a.opaque() == b.opaque();
    }
    let few = |uri: UriRef<'_>| {
        uri.params().iter().nth(MAX_COMPARED).is_none()
            && uri.header_fields().iter().nth(MAX_COMPARED).is_none()
    };
    if !few(a) || !few(b) {
        return false;
    }
    if a.scheme() == Scheme::Tel {
        return same_number(a.user(), b.user())
            && contains_all(a.params(), b.params(), false)
            && contains_all(b.params(), a.params(), false);
    }
    same(a.user(), b.user(), true)
        && same(a.password(), b.password(), true)
        && a.host() == b.host()
        && a.port() == b.port()
        && params_agree(a.params(), b.params())
        && params_agree(b.params(), a.params())
        && contains_all(a.header_fields(), b.header_fields(), true)
        && contains_all(b.header_fields(), a.header_fields(), true)
}

// Of parameters of the same name, which no URI may have, the first counts.

/// Each parameter of `a` has the same value in `b`, or is missing there and does not matter.
fn params_agree(a: UriParams<'_>, b: UriParams<'_>) -> bool {
    a.iter().all(|(name, _)| match find(b, name) {
        Some(other) => find(a, name).is_some_and(|value| same(value, other, false)),
        None => !DECISIVE.iter().any(|d| same_text(name, d, false)),
    })
}

/// Each pair of `a` is in `b`.
fn contains_all(a: UriParams<'_>, b: UriParams<'_>, case: bool) -> bool {
    a.iter().all(|(name, _)| {
        let pair = find(a, name).zip(find(b, name));
        pair.is_some_and(|(value, other)| same(value, other, case))
    })
}

/// The value of the parameter of that name; the inner `None` without `=`.
fn find<'a>(params: UriParams<'a>, name: &str) -> Option<Option<&'a str>> {
    params.iter().find(|(other, _)| same_text(other, name, false)).map(|(_, value)| value)
}

fn same(a: Option<&str>, b: Option<&str>, case: bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_text(a, b, case),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// Compares with escapes resolved; an escaped reserved character is not the bare one.
fn same_text(a: &str, b: &str, case: bool) -> bool {
    Units(a.as_bytes()).eq_by_case(Units(b.as_bytes()), case)
}

/// The octets of a URI part, each with whether it is a reserved character under an escape.
struct Units<'a>(&'a [u8]);

impl Units<'_> {
    fn eq_by_case(self, other: Units<'_>, case: bool) -> bool {
        let fold =
            |(b, escaped): (u8, bool)| (if case { b } else { b.to_ascii_lowercase() }, escaped);
        self.map(fold).eq(other.map(fold))
    }
}

impl Iterator for Units<'_> {
    type Item = (u8, bool);

    fn next(&mut self) -> Option<(u8, bool)> {
        let (&b, rest) = self.0.split_first()?;
        if b == b'%'
            && let Some(value) = hex_pair(rest)
        {
            self.0 = rest.get(2..).unwrap_or_default();
            return Some((value, b";/?:@&=+$,".contains(&value)));
        }
        self.0 = rest;
        Some((b, false))
    }
}

/// Telephone numbers without their visual separators.
fn same_number(a: Option<&str>, b: Option<&str>) -> bool {
    fn digits(text: Option<&str>) -> impl Iterator<Item = u8> {
        text.unwrap_or_default()
            .bytes()
            .filter(|b| !matches!(b, b'-' | b'.' | b'(' | b')'))
            .map(|b| b.to_ascii_lowercase())
    }
    digits(a).eq(digits(b))
}

#[cfg(test)]
mod tests {
    use super::super::uri::Uri;

    fn equivalent(a: &str, b: &str) -> bool {
        let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
        assert_eq!(a.equivalent(&b), b.equivalent(&a), "not symmetric: {a} {b}");
        a.equivalent(&b)
    }

    #[test]
    fn the_examples_of_rfc_3261_19_1_4() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(equivalent(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:alice@atlanta.com", "sips:alice@atlanta.com"),
        ] {
            assert!(!equivalent(a, b), "{a} {b}");
        }
    }

    #[test]
    fn escaped_reserved_characters_are_not_the_bare_ones() {
        assert!(!equivalent("sip:a%3Bb@example.com", "sip:a;b@example.com"));
        assert!(equivalent("sip:a%3bb@example.com", "sip:a%3Bb@example.com"));
        assert!(equivalent("sip:a@[2001:db8::0:1]", "sip:a@[2001:DB8::1]"));
    }

    #[test]
    fn tel_numbers_compare_without_separators() {
        assert!(equivalent("tel:+1-201-555-0123", "tel:+1(201)555.0123"));
        assert!(!equivalent("tel:+12015550123", "tel:12015550123"));
        assert!(!equivalent("tel:7042;phone-context=a.example", "tel:7042"));
        assert!(equivalent("tel:7042;phone-context=a;ext=1", "tel:7042;EXT=1;phone-context=A"));
    }

    #[test]
    fn a_thousand_parameters_are_equivalent_only_to_themselves() {
        let many = format!("sip:a@example.com{}", ";x=1".repeat(1000));
        assert!(equivalent(&many, &many));
        assert!(!equivalent(&many, "sip:a@example.com"));
    }
}
