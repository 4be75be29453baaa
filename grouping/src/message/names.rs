//! Whether a word may be somebody's name for something: a user, a host, a table.
//!
//! Nothing in a message says so. What English and programs call things and deeds is no name, a code in
//! capitals is none, and neither is the type of an error: those tell errors apart. In doubt it is none.

/// Words of messages that are no names, in order, between spaces: one text costs less than a
/// thousand references.
const COMMON: &str = "\
    a able abort about above abstract accept access account ack across action active activity actor \
    actual add address after again agent alarm alert alias all already also an and another answer any \
    api app append argument arguments array as ask asset at attach attempt attribute auth authority auto \
    available await away back backend bad balance bare base basic batch be because been before begin \
    being below between big bind bit blank block body bool boot both bound branch break bridge broker \
    browser buffer bug build bulk bus but by byte bytes cache call callback can cancel cannot case \
    catalog category cause cell certificate chain change channel character chart check child chunk \
    cipher class clean clear client clock clone close cluster code collection column command comment \
    commit common compiler complete component config conflict connect console constant constraint \
    consumer contact container content context control cookie copy core corrupt cost count counter \
    create credential credentials critical cron current cursor custom cycle data database date day db \
    dead deadline deadlock debug decode default delay delegate delete denied deny depth detail device \
    dialog did digest direct directory dirty disconnect disk dispatch do document does domain done door \
    down download driver drop dry due dump duplicate during dynamic each early edge edit either element \
    else email empty encode end endpoint engine enough entity entry enum environment epoch error errors \
    event events every exact exceed exception exchange exclusive execute executor exist exit expire \
    export expression extend external extra fail failure false fast fatal fault feature fetch few field \
    file filter final find first flag flow flush folder follow for foreign form format forward found \
    fragment frame free from full function fuse future gateway gave general generic get give global go \
    good got grant graph group guard had half handle handler hard has hash have head header health heap \
    heartbeat hello hidden high hint hit hook host hour how http https icon id identifier identity idle \
    ids if ignore illegal image immediate import in inactive incomplete incorrect index info init inner \
    input insert inside instance int integer interface internal internet interrupt into invalid \
    inventory invoice is issue it item iterator its job join journal json just keep kernel key keys kind \
    label lane last late latency launch layer layout lead leader leak lease least leave left length less \
    level library license life like limit line link list listener live load local location lock log \
    logger login logon logout long loop lost low machine made main make manager manual many map mark \
    master match max maximum may me media member memory merge message metadata method metric migrate min \
    minimum minute mirror mismatch miss mock mode model modify module monitor month more most mount move \
    much multiple must mutex my name named namespace native near need neither network never new next nil \
    no node non none nor normal not note nothing notify now null number object of off offer offline \
    offset ok old on once one online only opaque open operator option or order origin other our out \
    outer output outside over overflow own owner pack package packet page pair panic parameter parent \
    parse part partial partition partner password past patch path pause payload payment peer per \
    permission phase phone pin ping pipe pipeline place plan platform plugin point policy poll pool port \
    position post power prefix present preview previous price primary print prior private probe process \
    processor producer product profile program project promise prompt proper property protocol provider \
    proxy public publish pull push put quantity queue quick quota race raise random range rate raw read \
    reader ready real realm reason receive receiver recipient record recover red reference refresh \
    register registry reject relation relay release reload remain remote remove rename render repair \
    replace replica reply report repository request require reserve reset resolve resolver resource \
    response rest restart restore result resume retry return reverse revision revoke right role roll \
    rollback route router row rule run runner runtime safe same sample sandbox save scale scan schedule \
    scheduler schema scope screen script search second secondary secret section secure segment select \
    self send sender sensor sequence serial server service session set settings setup shape shard share \
    shared shell short should shut shutdown side signal signature silent simple since single sink site \
    size skip slave sleep slot slow small snapshot so socket some soon sort source space span spawn \
    special specific split sql stack stage stale standard start startup state statement static status \
    step still stock stop storage store strange stream strict string strong stub style sub subject \
    submit subnet subscriber such suffix super support suspend swap switch symbol sync syntax system \
    table tag take target task template tenant term terminate test text than that the their them then \
    there these they thing this thread threshold through throw ticket tier time timeout timer times to \
    today token too tool top topic total touch trace track traffic transfer transient transport trap \
    tree trigger true trust try tunnel turn two type unable under unexpected unique unit unknown unlock \
    until up update upgrade upload upper upstream uri url usage use user username users valid value \
    variable vendor verify version very via video view violation virtual visible volume wait wake walk \
    warn was watch watchdog way we web webhook week weight well were what when where which while who why \
    wide will window with within without word work worker workflow would wrap write writer wrong xml \
    year yes yet you your zero zone";

/// What follows `user` in the name of a thing, in order: `invalid user input`. Everything else after the
/// words that announce a user is one: people are called `test`, `support` and `backup`, too.
const OF_USERS: &str = "\
    a account accounts action agent agents an and are as at attribute be by can cannot code context \
    could data defined did does email entity error event exists for found from group groups had has id \
    ids in info input interface is key list mode must name names no not object of on or password pool \
    profile record request role session space that the to token type via was were will with would";
/// Endings of English words for deeds, states and qualities.
const ENDINGS: [&[u8]; 15] = [
    b"ed", b"ing", b"tion", b"sion", b"ment", b"able", b"ible", b"ance", b"ence", b"ness", b"ity",
    b"ure", b"ful", b"less", b"ly",
];
/// Shorter words end so by chance: `fred`, `king`.
const MIN_ENDED: usize = 6;
/// Endings of the names of types of errors.
const ERRORS: [&[u8]; 5] = [b"exception", b"error", b"failure", b"fault", b"timeout"];

/// Whether a word may be a user's name where one is announced.
pub(super) fn may_be_user(word: &str) -> bool {
    let is_lower = word.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_english = is_lower && is_english(word.as_bytes());
    let is_thing = is_listed(OF_USERS, word.as_bytes());
    !word.is_empty() && !is_english && !is_thing
}

/// Whether a word may be a name that nobody would miss if it were another.
pub(crate) fn may_be_name(word: &[u8]) -> bool {
    let is_error = ERRORS.iter().any(|ending| ends(word, ending));
    !word.is_empty() && !is_error && !is_english(word) && !is_listed(COMMON, word)
}

fn is_english(word: &[u8]) -> bool {
    word.len() >= MIN_ENDED
        && word.iter().all(u8::is_ascii_alphabetic)
        && ENDINGS.iter().any(|ending| ends(word, ending))
}

fn ends(word: &[u8], ending: &[u8]) -> bool {
    word.len().checked_sub(ending.len()).is_some_and(|at| word[at..].eq_ignore_ascii_case(ending))
}

/// Whether it is written as codes are: `ECONNRESET`, `OUT_OF_MEMORY`.
pub(crate) fn is_code(word: &[u8]) -> bool {
    word.len() > 1
        && !word.iter().any(u8::is_ascii_lowercase)
        && word.iter().any(u8::is_ascii_uppercase)
}

/// Whether a list of words, in order and between spaces, has this one in either case.
pub(crate) fn is_listed(list: &str, word: &[u8]) -> bool {
    let mut list = list.as_bytes();
    while !list.is_empty() {
        // The word around the middle.
        let middle = list.len() / 2;
        let start = memchr::memrchr(b' ', &list[..middle]).map_or(0, |at| at + 1);
        let end = memchr::memchr(b' ', &list[start..]).map_or(list.len(), |at| start + at);
        let known = list[start..end].iter();
        match known.copied().cmp(word.iter().map(u8::to_ascii_lowercase)) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => list = list.get(end + 1..).unwrap_or_default(),
            std::cmp::Ordering::Greater => list = &list[..start.saturating_sub(1)],
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_word_is_found_and_names_are_not() {
        for list in [COMMON, OF_USERS] {
            let words: Vec<&str> = list.split(' ').collect();
            assert!(words.is_sorted() && words.iter().all(|word| is_listed(list, word.as_bytes())));
        }
        for name in ["ann", "root", "gandalf", "orders_eu", "zz", "aa", "Joe"] {
            assert!(may_be_name(name.as_bytes()), "{name}");
        }
        for word in ["", "Read", "rejected", "authentication", "DiskFullException", "timeout"] {
            assert!(!may_be_name(word.as_bytes()), "{word}");
        }
        assert!(may_be_user("support") && !may_be_user("input") && !may_be_user("authentication"));
        assert!(is_code(b"ENOENT") && is_code(b"OUT_OF") && !is_code(b"A") && !is_code(b"Ann"));
    }
}
