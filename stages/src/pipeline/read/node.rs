//! A configuration as a tree that remembers where each value stood.

/// Where something stands: a file by its number in the input, line and column from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Number of the file, from 0, in the order given.
    pub file: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) content: Content,
}

/// What stands there.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text {
        text: String,
        /// Line and column of the text's first own line, where the text keeps its lines (a `|` block).
        block: Option<(usize, usize)>,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The key of a member.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) at: Mark,
    pub(super) text: String,
}

impl Node {
    pub(super) fn text(at: Mark, text: impl Into<String>) -> Self {
        Self { at, content: Content::Text { text: text.into(), block: None } }
    }

    pub(super) fn list(at: Mark, items: Vec<Node>) -> Self {
        Self { at, content: Content::List(items) }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.content == Content::Null
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.content, Content::Map(_))
    }

    pub(super) fn members(&self) -> &[(Key, Node)] {
        match &self.content {
            Content::Map(members) => members,
            _ => &[],
        }
    }

    pub(super) fn members_mut(&mut self) -> Option<&mut Vec<(Key, Node)>> {
        match &mut self.content {
            Content::Map(members) => Some(members),
            _ => None,
        }
    }

    pub(super) fn items(&self) -> Option<&[Node]> {
        match &self.content {
            Content::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn items_mut(&mut self) -> Option<&mut Vec<Node>> {
        match &mut self.content {
            Content::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.members().iter().find(|(own, _)| own.text == key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let members = self.members_mut()?;
        members.iter_mut().find(|(own, _)| own.text == key).map(|(_, value)| value)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Takes a member out.
    pub(super) fn take(&mut self, key: &str) -> Option<(Key, Node)> {
        let members = self.members_mut()?;
        let index = members.iter().position(|(own, _)| own.text == key)?;
        Some(members.remove(index))
    }

    /// Adds a member; it must not be there.
    pub(super) fn put(&mut self, key: &str, value: Node) {
        let key = Key { at: value.at, text: key.to_owned() };
        if let Some(members) = self.members_mut() {
            members.push((key, value));
        }
    }

    /// What a person calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "null",
            Content::Bool(_) => "a boolean",
            Content::Int(_) | Content::Float(_) => "a number",
            Content::Text { .. } => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "an object",
        }
    }

    /// The place of `path`, as `pipelines[0].grok.match_rules:3`, or of the deepest part of it that is there.
    /// The number after the colon is a line of a text, a second one its column, both from 1.
    pub(super) fn locate(&self, path: &str) -> Mark {
        let mut parts = path.split(':');
        let fields = parts.next().unwrap_or_default();
        let within: Vec<usize> = parts.map_while(|part| part.trim().parse().ok()).collect();
        let (mut node, mut at, mut whole) = (self, self.at, true);
        for step in fields.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match step.strip_suffix(']').and_then(|index| index.parse::<usize>().ok()) {
                Some(index) => node.items().and_then(|items| items.get(index)).map(|n| (n.at, n)),
                None => {
                    let member = node.members().iter().find(|(key, _)| key.text == step);
                    member.map(|(key, value)| (key.at, value))
                }
            };
            let Some((place, found)) = next else {
                whole = false;
                break;
            };
            (at, node) = (place, found);
        }
        match (&node.content, within.as_slice()) {
            (Content::Text { block: Some((line, column)), .. }, [number, rest @ ..]) if whole => {
                let inside = rest.first().map_or(0, |column| column.saturating_sub(1));
                Mark { line: line + number.saturating_sub(1), column: column + inside, ..at }
            }
            (Content::Text { block: None, .. }, [_, ..]) if whole => node.at,
            _ => at,
        }
    }
}

/// As JSON: what test cases compare with.
impl From<&Node> for serde_json::Value {
    fn from(node: &Node) -> Self {
        match &node.content {
            Content::Null => Self::Null,
            Content::Bool(flag) => Self::Bool(*flag),
            Content::Int(number) => Self::from(*number),
            Content::Float(number) => Self::from(*number),
            Content::Text { text, .. } => Self::String(text.clone()),
            Content::List(items) => Self::Array(items.iter().map(Self::from).collect()),
            Content::Map(members) => {
                let pairs = members.iter().map(|(key, value)| (key.text.clone(), value.into()));
                Self::Object(pairs.collect())
            }
        }
    }
}
