//! `arithmetic-processor`: a number computed from attributes by `+ - * /` and parentheses.
//!
//! A `-` is an operator only with spaces around it, since names may contain it. An attribute that is
//! missing or no number skips the log, or is 0 with `is_replace_missing`. The result is rounded to 9
//! decimals; a whole one is an integer. A division by zero writes nothing and is noted on the log.

use bumpalo::Bump;
use schemas::limits::MAX_ARITHMETIC_DEPTH;

use super::Outcome;
use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::ArithmeticProcessorConfig;
use crate::pipeline::source;
use crate::value::Value;

/// The expression in postfix order, and where the result goes.
#[derive(Debug)]
pub(in crate::pipeline) struct ArithmeticProcessor {
    steps: Vec<Step>,
    target: Box<str>,
    replace_missing: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Number(f64),
    Attribute(Box<str>),
    Negate,
    Operator(Operator),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl ArithmeticProcessor {
    /// Compiles the expression.
    pub(super) fn compile(
        config: &ArithmeticProcessorConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let target = super::name(&config.target, "target", path, compiler);
        match Parser::parse(&config.expression) {
            Ok(steps) => {
                Some(Self { steps, target: target?, replace_missing: config.is_replace_missing })
            }
            Err(reason) => {
                compiler.refuse(format!("{path}.expression"), reason);
                None
            }
        }
    }

    /// Computes.
    pub(super) fn apply<'b>(&self, event: &mut LogEvent<'b>, arena: &'b Bump) -> Outcome {
        let read = |name: &str| {
            let number = source::read(arena, event, name).and_then(|value| number(&value));
            number.or(self.replace_missing.then_some(0.0))
        };
        let Some(result) = run(&self.steps, read) else { return Ok(()) };
        if !result.is_finite() {
            return Err("the result is no number: a division by zero, or too large");
        }
        source::replace(arena, event, &self.target, rounded(result));
        Ok(())
    }
}

/// The number of an attribute; a text counts if it is one.
fn number(value: &Value<'_>) -> Option<f64> {
    let parsed = value.as_str().and_then(|text| text.trim().parse().ok());
    value.as_f64().or(parsed).filter(|number: &f64| number.is_finite())
}

/// Where a double has whole numbers only.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn rounded<'b>(number: f64) -> Value<'b> {
    let scaled = number * 1e9;
    let number = if scaled.abs() < EXACT { scaled.round() / 1e9 } else { number };
    if number.fract() == 0.0 && number.abs() < EXACT {
        Value::Int(number as i64)
    } else {
        Value::Float(number)
    }
}

/// The value, or none where an attribute has none.
fn run(steps: &[Step], read: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let mut stack = [0.0; MAX_ARITHMETIC_DEPTH];
    let mut height = 0;
    for step in steps {
        let value = match step {
            Step::Number(number) => *number,
            Step::Attribute(name) => read(name)?,
            Step::Negate => {
                height -= 1;
                -stack.get(height)?
            }
            Step::Operator(operator) => {
                height -= 2;
                let (left, right) = (stack.get(height)?, stack.get(height + 1)?);
                match operator {
                    Operator::Add => left + right,
                    Operator::Subtract => left - right,
                    Operator::Multiply => left * right,
                    Operator::Divide => left / right,
                }
            }
        };
        *stack.get_mut(height)? = value;
        height += 1;
    }
    stack.first().copied()
}

/// Recursive descent; what it writes never holds more operands than the stack has places.
struct Parser<'t> {
    text: &'t str,
    at: usize,
    steps: Vec<Step>,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn parse(text: &'t str) -> Result<Vec<Step>, String> {
        let mut parser = Self { text, at: 0, steps: Vec::new(), depth: 0 };
        parser.sum()?;
        match parser.peek() {
            None => {}
            Some(')') => return Err(parser.wrong("`)` closes nothing: remove it")),
            Some(_) => {
                return Err(parser
                    .wrong("expected an operator `+`, `-`, `*` or `/` (write spaces around `-`)"));
            }
        }
        let (mut height, mut highest) = (0usize, 0usize);
        for step in &parser.steps {
            match step {
                Step::Number(_) | Step::Attribute(_) => height += 1,
                Step::Negate => {}
                Step::Operator(_) => height -= 1,
            }
            highest = highest.max(height);
        }
        if highest > MAX_ARITHMETIC_DEPTH {
            return Err(TOO_DEEP.to_owned());
        }
        Ok(parser.steps)
    }

    fn sum(&mut self) -> Result<(), String> {
        self.product()?;
        loop {
            let operator = match self.peek() {
                Some('+') => Operator::Add,
                Some('-') if self.is_lone_minus() => Operator::Subtract,
                _ => return Ok(()),
            };
            self.at += 1;
            self.product()?;
            self.steps.push(Step::Operator(operator));
        }
    }

    fn product(&mut self) -> Result<(), String> {
        self.operand()?;
        loop {
            let operator = match self.peek() {
                Some('*') => Operator::Multiply,
                Some('/') => Operator::Divide,
                _ => return Ok(()),
            };
            self.at += 1;
            self.operand()?;
            self.steps.push(Step::Operator(operator));
        }
    }

    fn operand(&mut self) -> Result<(), String> {
        match self.peek() {
            None => Err(self.wrong("expected an attribute, a number or `(`, found the end")),
            Some('(') => {
                self.deeper()?;
                self.at += 1;
                self.sum()?;
                if self.peek() != Some(')') {
                    return Err(self.wrong("expected `)`"));
                }
                self.at += 1;
                self.depth -= 1;
                Ok(())
            }
            Some('-') if self.is_lone_minus() => {
                self.deeper()?;
                self.at += 1;
                self.operand()?;
                self.depth -= 1;
                self.steps.push(Step::Negate);
                Ok(())
            }
            Some(')' | '+' | '*' | '/') => {
                Err(self.wrong("expected an attribute, a number or `(`"))
            }
            Some(_) => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let end = rest
                    .find(|c: char| c.is_whitespace() || "+*/()".contains(c))
                    .unwrap_or(rest.len());
                let word = rest.get(..end).unwrap_or_default();
                let number = word.parse::<f64>().ok().filter(|_| {
                    word.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '-')
                });
                self.steps.push(match number {
                    Some(number) => Step::Number(number),
                    None => Step::Attribute(word.into()),
                });
                self.at += end;
                Ok(())
            }
        }
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_ARITHMETIC_DEPTH { Err(TOO_DEEP.to_owned()) } else { Ok(()) }
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        let rest = self.text.get(self.at..)?;
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    /// Whether the `-` here is no part of a name or number.
    fn is_lone_minus(&self) -> bool {
        let after = self.text.get(self.at + 1..).and_then(|rest| rest.chars().next());
        after.is_none_or(|c| c.is_whitespace() || c == '(')
    }

    fn wrong(&self, reason: &str) -> String {
        format!("character {}: {reason}", self.at + 1)
    }
}

const TOO_DEEP: &str = "nested deeper than 64: split the expression";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compute(expression: &str) -> Option<f64> {
        let steps =
            Parser::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        run(&steps, |name| match name {
            "a" => Some(2.0),
            "start-time" => Some(1_000.0),
            "end-time" => Some(5_500.0),
            "deep.er" => Some(0.5),
            _ => None,
        })
    }

    #[test]
    fn operators_bind_as_in_arithmetic_and_names_may_hold_dashes() {
        for (expression, result) in [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("10 - 4 - 3", 3.0),
            ("100 / 10 / 5", 2.0),
            ("(end-time - start-time) / 1000", 4.5),
            ("a*a+a", 6.0),
            ("- (a + 1)", -3.0),
            ("a - -3", 5.0),
            ("deep.er * 1e3", 500.0),
            ("1.5e-3 * a", 0.003),
        ] {
            assert_eq!(compute(expression), Some(result), "{expression}");
        }
        assert_eq!(compute("end-time-start-time"), None, "without spaces it is one name");
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_place() {
        let deep = "(".repeat(1_000);
        let right = format!("{}1{}", "1 + (".repeat(80), ")".repeat(80));
        for (expression, part) in [
            ("", "character 1: expected an attribute"),
            ("a +", "character 4: expected"),
            ("(a", "character 3: expected `)`"),
            ("a)", "character 2: `)` closes nothing"),
            ("a b", "character 3: expected an operator"),
            ("a * / b", "character 5: expected"),
            (deep.as_str(), "nested deeper than 64"),
            (right.as_str(), "nested deeper than 64"),
        ] {
            let error = Parser::parse(expression).expect_err(expression);
            assert!(error.contains(part), "{expression}: {error}");
        }
    }

    #[test]
    fn results_are_rounded_to_nine_decimals() {
        assert_eq!(rounded(0.123_456_789_1), Value::Float(0.123_456_789));
        assert_eq!(rounded(25.000_000_000_01), Value::Int(25));
        assert_eq!(rounded(1e300), Value::Float(1e300));
        assert_eq!(rounded(-0.0), Value::Int(0));
    }

    /// An expression as a tree: its text, and its value computed without the parser.
    #[derive(Debug, Clone)]
    enum Tree {
        Number(i32),
        Node(Box<Tree>, char, Box<Tree>),
    }

    impl Tree {
        fn value(&self) -> f64 {
            match self {
                Tree::Number(number) => f64::from(*number),
                Tree::Node(left, operator, right) => {
                    let (left, right) = (left.value(), right.value());
                    match operator {
                        '+' => left + right,
                        '-' => left - right,
                        '*' => left * right,
                        _ => left / right,
                    }
                }
            }
        }

        fn text(&self) -> String {
            match self {
                Tree::Number(number) => number.to_string(),
                Tree::Node(left, operator, right) => {
                    format!("({} {operator} {})", left.text(), right.text())
                }
            }
        }
    }

    fn tree() -> impl Strategy<Value = Tree> {
        any::<i32>().prop_map(Tree::Number).prop_recursive(5, 40, 2, |inner| {
            (inner.clone(), prop::sample::select(vec!['+', '-', '*', '/']), inner).prop_map(
                |(left, operator, right)| Tree::Node(Box::new(left), operator, Box::new(right)),
            )
        })
    }

    proptest! {
        #[test]
        fn every_expression_has_the_value_of_its_tree(tree in tree()) {
            let steps = Parser::parse(&tree.text()).expect("written well");
            let (ours, theirs) = (run(&steps, |_| None), tree.value());
            prop_assert!(ours == Some(theirs) || theirs.is_nan() && ours.is_some_and(f64::is_nan));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[-+*/() a1.e]{0,60}|\\PC{0,40}") {
            if let Ok(steps) = Parser::parse(&text) {
                let _ = run(&steps, |_| Some(1.0));
            }
        }
    }
}
