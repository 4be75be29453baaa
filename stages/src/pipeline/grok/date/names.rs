//! Names of months and days, by language.

/// A language's names, in order. A name is also understood without its ending, from three
/// letters on where that is how the language shortens it, and with a full stop.
#[derive(Debug, PartialEq)]
pub(crate) struct Names {
    /// Language code (ISO 639-1).
    pub(crate) language: &'static str,
    months: [&'static str; 12],
    days: [&'static str; 7],
    am_pm: [&'static str; 2],
}

/// What a pattern without a locale reads.
pub(crate) const ENGLISH: &Names = &Names {
    language: "en",
    months: [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ],
    days: ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    am_pm: ["am", "pm"],
};

/// All of them; Unicode CLDR, formal names.
const ALL: [&Names; 8] = [
    ENGLISH,
    &Names {
        language: "fr",
        months: [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ],
        days: ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
        am_pm: ["am", "pm"],
    },
    &Names {
        language: "de",
        months: [
            "januar",
            "februar",
            "märz",
            "april",
            "mai",
            "juni",
            "juli",
            "august",
            "september",
            "oktober",
            "november",
            "dezember",
        ],
        days: ["montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag"],
        am_pm: ["am", "pm"],
    },
    &Names {
        language: "es",
        months: [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
        days: ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
        am_pm: ["a. m.", "p. m."],
    },
    &Names {
        language: "it",
        months: [
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ],
        days: ["lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"],
        am_pm: ["am", "pm"],
    },
    &Names {
        language: "pt",
        months: [
            "janeiro",
            "fevereiro",
            "março",
            "abril",
            "maio",
            "junho",
            "julho",
            "agosto",
            "setembro",
            "outubro",
            "novembro",
            "dezembro",
        ],
        days: [
            "segunda-feira",
            "terça-feira",
            "quarta-feira",
            "quinta-feira",
            "sexta-feira",
            "sábado",
            "domingo",
        ],
        am_pm: ["am", "pm"],
    },
    &Names {
        language: "nl",
        months: [
            "januari",
            "februari",
            "maart",
            "april",
            "mei",
            "juni",
            "juli",
            "augustus",
            "september",
            "oktober",
            "november",
            "december",
        ],
        days: ["maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"],
        am_pm: ["a.m.", "p.m."],
    },
    &Names {
        language: "pl",
        months: [
            "stycznia",
            "lutego",
            "marca",
            "kwietnia",
            "maja",
            "czerwca",
            "lipca",
            "sierpnia",
            "września",
            "października",
            "listopada",
            "grudnia",
        ],
        days: ["poniedziałek", "wtorek", "środa", "czwartek", "piątek", "sobota", "niedziela"],
        am_pm: ["am", "pm"],
    },
];

/// The names of a locale such as `fr`, `fr_FR`, `fr-CA`.
pub(crate) fn of_locale(locale: &str) -> Result<&'static Names, String> {
    let language = locale.split(['_', '-']).next().unwrap_or_default().to_ascii_lowercase();
    ALL.into_iter().find(|names| names.language == language).ok_or_else(|| {
        let known: Vec<&str> = ALL.iter().map(|names| names.language).collect();
        format!("unknown locale `{locale}`: the languages are {}", known.join(", "))
    })
}

impl Names {
    /// The month at the start of `text`, from 1, and its length in bytes.
    pub(crate) fn month(&self, text: &str) -> Option<(u32, usize)> {
        find(&self.months, text, self.stops()).map(|(index, length)| (index + 1, length))
    }

    /// The length of the day's name at the start of `text`.
    pub(crate) fn day(&self, text: &str) -> Option<usize> {
        find(&self.days, text, self.stops()).map(|(_, length)| length)
    }

    /// Whether it is the afternoon, and the length of the word that says so.
    pub(crate) fn afternoon(&self, text: &str) -> Option<(bool, usize)> {
        let own = find(&self.am_pm, text, self.am_pm != ENGLISH.am_pm);
        let (index, length) = own.or_else(|| find(&ENGLISH.am_pm, text, false))?;
        Some((index == 1, length))
    }

    /// Whether a shortened name takes a full stop; English ones do not.
    fn stops(&self) -> bool {
        self.language != ENGLISH.language
    }
}

/// The name most of which stands at the start of `text`: all of it, or at least its first three
/// letters (its first two where it has no more), with its full stop where `stops`.
fn find(names: &[&str], text: &str, stops: bool) -> Option<(u32, usize)> {
    if !stops {
        return find_english(names, text);
    }
    let mut best: Option<(u32, usize, usize)> = None;
    for (index, name) in (0u32..).zip(names) {
        let (letters, length) = common(name, text);
        let enough = letters >= 3 || letters == name.chars().count();
        if enough && best.is_none_or(|(_, most, _)| letters > most) {
            best = Some((index, letters, length));
        }
    }
    let (index, letters, length) = best?;
    let whole = names.get(index as usize).is_some_and(|name| name.chars().count() == letters);
    let stop = stops && !whole && text.get(length..).is_some_and(|rest| rest.starts_with('.'));
    Some((index, length + usize::from(stop)))
}

/// The same for names of ASCII whose first three letters (two where a name has no more) tell them apart.
fn find_english(names: &[&str], text: &str) -> Option<(u32, usize)> {
    let bytes = text.as_bytes();
    for (index, name) in (0u32..).zip(names) {
        let same =
            name.bytes().zip(bytes).take_while(|(own, found)| own.eq_ignore_ascii_case(found));
        let letters = same.count();
        if letters >= 3 || letters == name.len() {
            return Some((index, letters));
        }
    }
    None
}

/// Letters both begin with, in any case, and their bytes in `text`.
fn common(name: &str, text: &str) -> (usize, usize) {
    let mut length = 0;
    let mut letters = 0;
    for (own, found) in name.chars().zip(text.chars()) {
        let same = match found.is_ascii() {
            true => own == found.to_ascii_lowercase(),
            false => own == found || found.to_lowercase().eq([own]),
        };
        if !same {
            break;
        }
        letters += 1;
        length += found.len_utf8();
    }
    (letters, length)
}
