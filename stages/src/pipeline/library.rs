//! Ready-made pipelines for the common sources, each with its test cases: `config/pipelines/NAME.yaml` and
//! `NAME_tests.yaml`, built into the program. A configuration takes them by `include: [nginx, java]`.
//!
//! Written from the formats the sources themselves document; each file says which.

/// A ready-made pipeline.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// Its name.
    pub name: &'static str,
    /// The pipeline, in our own form.
    pub pipeline: &'static str,
    /// Samples and what they become.
    pub tests: &'static str,
}

impl Ready {
    /// What it reads: the comment at the head of its file, in one line.
    pub fn description(&self) -> String {
        let lines = self.pipeline.lines().map_while(|line| line.strip_prefix('#'));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    }
}

macro_rules! ready {
    ($($name:literal),* $(,)?) => {
        [$(Ready {
            name: $name,
            pipeline: include_str!(concat!("../../../config/pipelines/", $name, ".yaml")),
            tests: include_str!(concat!("../../../config/pipelines/", $name, "_tests.yaml")),
        }),*]
    };
}

/// All of them, by name.
pub const ALL: [Ready; 16] = ready![
    "apache",
    "docker",
    "go",
    "haproxy",
    "java",
    "kafka",
    "kubernetes",
    "lambda",
    "mysql",
    "nginx",
    "node",
    "postgresql",
    "python",
    "redis",
    "ruby",
    "syslog",
];

/// The one of this name.
pub fn find(name: &str) -> Option<&'static Ready> {
    ALL.iter().find(|ready| ready.name == name)
}

/// Their names, for people.
pub fn names() -> String {
    ALL.map(|ready| ready.name).join(", ")
}

#[cfg(test)]
mod tests;
