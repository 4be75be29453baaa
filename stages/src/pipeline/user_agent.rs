//! User agents to browser, system and device, by the definitions of the ua-parser project
//! (`regexes.yaml`, Apache-2.0), which Datadog's output follows. The build script takes them out of
//! the package of the `ua-parser` crate, so that definitions and code have one pinned version.
//!
//! What is unknown has the family `Other`; versions are text. The category is Datadog's own: `Bot`
//! for spiders, `Tablet` and `Mobile` by device and text, `Desktop` by system, else `Other`.

use std::cell::RefCell;
use std::sync::LazyLock;

use bumpalo::Bump;
use schemas::limits::REMEMBERED_USER_AGENTS;
use ua_parser::{Extractor, Regexes};
use xxhash_rust::xxh3::xxh3_64;

use super::source;
use crate::value::{Attributes, Value};

/// The definitions, in YAML.
const DEFINITIONS: &str = include_str!(concat!(env!("OUT_DIR"), "/regexes.yaml"));

/// Compiled when the first configuration needs them: a thousand expressions take their time.
static EXTRACTOR: LazyLock<Result<Extractor<'static>, String>> = LazyLock::new(|| {
    let regexes: Regexes<'static> =
        serde_yaml_ng::from_str(DEFINITIONS).map_err(|error| error.to_string())?;
    Extractor::try_from(regexes).map_err(|error| error.to_string())
});

/// Makes the definitions ready, so that no log waits for them.
///
/// # Errors
/// The definitions of this build are unusable.
pub(super) fn load() -> Result<(), String> {
    let unusable = |error: &String| format!("the user-agent definitions are unusable: {error}");
    EXTRACTOR.as_ref().map(|_| ()).map_err(unusable)
}

/// A user agent and its parts, as (path, text).
#[derive(Debug)]
struct Known {
    text: Box<str>,
    parts: Vec<(&'static str, Box<str>)>,
}

thread_local! {
    /// The user agents seen last, each at the place of its hash. What it holds is a function of the text
    /// alone, so it changes no result.
    static SEEN: RefCell<Vec<Option<Known>>> = const { RefCell::new(Vec::new()) };
}

/// Writes the parts of a user agent below `target`.
pub(super) fn write<'b>(
    arena: &'b Bump,
    text: &str,
    target: &str,
    attributes: &mut Attributes<'b>,
) {
    let place = (xxh3_64(text.as_bytes()) % REMEMBERED_USER_AGENTS as u64) as usize;
    SEEN.with_borrow_mut(|seen| {
        if seen.is_empty() {
            seen.resize_with(REMEMBERED_USER_AGENTS, || None);
        }
        let Some(slot) = seen.get_mut(place) else { return };
        if slot.as_ref().is_none_or(|known| *known.text != *text) {
            *slot = Some(Known { text: text.into(), parts: parts(text) });
        }
        for (path, value) in slot.iter().flat_map(|known| &known.parts) {
            let path = source::below(arena, target, path);
            attributes.set(path, Value::Str(arena.alloc_str(value)));
        }
    });
}

/// What stands for everything that is not known.
const OTHER: &str = "Other";

fn parts(text: &str) -> Vec<(&'static str, Box<str>)> {
    let Ok(extractor) = &*EXTRACTOR else { return Vec::new() };
    let (browser, os, device) = extractor.extract(text);
    let mut parts = Vec::new();
    let mut put = |path: &'static str, text: Option<&str>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            parts.push((path, Box::from(text)));
        }
    };
    put("browser.family", Some(browser.as_ref().map_or(OTHER, |browser| &browser.family)));
    if let Some(browser) = &browser {
        put("browser.major", browser.major);
        put("browser.minor", browser.minor);
        put("browser.patch", browser.patch);
        put("browser.patch_minor", browser.patch_minor);
    }
    let os_family = os.as_ref().map_or(OTHER, |os| &os.os);
    put("os.family", Some(os_family));
    if let Some(os) = &os {
        put("os.major", os.major.as_deref());
        put("os.minor", os.minor.as_deref());
        put("os.patch", os.patch.as_deref());
        put("os.patch_minor", os.patch_minor.as_deref());
    }
    let device_family = device.as_ref().map_or(OTHER, |device| &device.device);
    put("device.family", Some(device_family));
    if let Some(device) = &device {
        put("device.brand", device.brand.as_deref());
        put("device.model", device.model.as_deref());
    }
    put("device.category", Some(category(text, os_family, device_family)));
    parts
}

/// Systems of telephones and tablets.
const MOBILE: [&str; 10] = [
    "Android",
    "iOS",
    "Windows Phone",
    "Windows Mobile",
    "BlackBerry OS",
    "Firefox OS",
    "KaiOS",
    "Symbian OS",
    "Tizen",
    "HarmonyOS",
];

/// Beginnings of the names of systems of desks, laps and servers.
const DESKTOP: [&str; 17] = [
    "Windows",
    "Mac OS",
    "Linux",
    "Ubuntu",
    "Debian",
    "Fedora",
    "Red Hat",
    "CentOS",
    "SUSE",
    "Mint",
    "Gentoo",
    "Arch",
    "Chrome OS",
    "FreeBSD",
    "OpenBSD",
    "NetBSD",
    "Solaris",
];

fn category(text: &str, os: &str, device: &str) -> &'static str {
    if device == "Spider" {
        return "Bot";
    }
    let tablet = ["iPad", "Kindle", "PlayBook", "Tablet"]
        .iter()
        .any(|word| device.contains(word) || text.contains(word) && MOBILE.contains(&os));
    if tablet || os == "Android" && text.contains("Mozilla") && !text.contains("Mobile") {
        "Tablet"
    } else if MOBILE.contains(&os) {
        "Mobile"
    } else if DESKTOP.iter().any(|desktop| os.starts_with(desktop)) {
        "Desktop"
    } else {
        OTHER
    }
}
