//! The library of rules, by name. Forms are those the issuers document; where a form alone says too
//! little there is a checksum, or words that must stand before it.
//!
//! Every expression is bounded where it repeats, so that a look at one place takes bounded time.

use super::checks::Check;

/// A rule of the library.
#[derive(Debug)]
pub(super) struct Standard {
    /// What `standard_pattern` says.
    pub(super) name: &'static str,
    pub(super) pattern: &'static str,
    pub(super) check: Option<Check>,
    /// Words that usually stand before it, in lower case.
    pub(super) keywords: &'static [&'static str],
    /// Whether one of them must.
    pub(super) needs_keywords: bool,
}

const fn rule(name: &'static str, pattern: &'static str) -> Standard {
    Standard { name, pattern, check: None, keywords: &[], needs_keywords: false }
}

impl Standard {
    const fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    const fn words(mut self, keywords: &'static [&'static str]) -> Self {
        self.keywords = keywords;
        self
    }

    const fn needs(mut self, keywords: &'static [&'static str]) -> Self {
        self.keywords = keywords;
        self.needs_keywords = true;
        self
    }
}

const CARD: &[&str] =
    &["card", "credit", "debit", "pan", "cc", "payment", "visa", "mastercard", "amex"];

/// All rules: payment and persons, then keys and tokens, then the network.
pub(super) const LIBRARY: &[Standard] = &[
    // Payment cards by their issuers' ranges (ISO/IEC 7812), with spaces or dashes between digits.
    rule("credit_card", r"(?-u:\b)(?:4|5[1-5]|2[2-7]|3[4-689]|6[0245])\d(?:[ -]?\d){10,17}(?-u:\b)")
        .check(Check::Luhn)
        .words(CARD),
    rule("visa_card", r"(?-u:\b)4\d{3}(?:[ -]?\d{4}){3}(?-u:\b)").check(Check::Luhn).words(CARD),
    rule(
        "mastercard_card",
        r"(?-u:\b)(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)(?:[ -]?\d{4}){3}(?-u:\b)",
    )
    .check(Check::Luhn)
    .words(CARD),
    rule("amex_card", r"(?-u:\b)3[47]\d{2}[ -]?\d{6}[ -]?\d{5}(?-u:\b)").check(Check::Luhn).words(CARD),
    rule("discover_card", r"(?-u:\b)(?:6011|64[4-9]\d|65\d{2})(?:[ -]?\d{4}){3}(?-u:\b)")
        .check(Check::Luhn)
        .words(CARD),
    rule("jcb_card", r"(?-u:\b)35(?:2[89]|[3-8]\d)(?:[ -]?\d{4}){3}(?-u:\b)").check(Check::Luhn).words(CARD),
    rule("diners_card", r"(?-u:\b)3(?:0[0-59]|[689]\d)\d[ -]?\d{6}[ -]?\d{4}(?-u:\b)")
        .check(Check::Luhn)
        .words(CARD),
    rule("iban", r"(?-u:\b)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?-u:\b)")
        .check(Check::Iban)
        .words(&["iban", "account", "bank"]),
    rule("email", r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}[A-Za-z]{2,24}(?-u:\b)")
        .words(&["email", "mail", "user", "login"]),
    rule("us_ssn", r"(?-u:\b)\d{3}[ -]\d{2}[ -]\d{4}(?-u:\b)")
        .check(Check::Ssn)
        .words(&["ssn", "social security", "social security number"]),
    rule("uk_national_insurance_number", r"(?-u:\b)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?-u:\b)")
        .words(&["nino", "national insurance", "insurance number"]),
    rule("us_passport", r"(?-u:\b)[A-Z]?\d{8,9}(?-u:\b)").needs(&["passport", "passport number", "passport no"]),
    rule("phone", r"(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}|(?:\(\d{3}\) ?|(?-u:\b)[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4})(?-u:\b)")
        .words(&["phone", "mobile", "tel", "telephone", "call", "fax"]),
    rule(
        "us_street_address",
        r"(?-u:\b)\d{1,6} (?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\.? )?(?:[A-Z][a-z']{1,30} |\d{1,3}(?:st|nd|rd|th) ){1,4}(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Square|Sq|Highway|Hwy|Parkway|Pkwy|Place|Pl|Terrace|Ter|Way)(?-u:\b)\.?(?:,? (?:Apt|Suite|Ste|Unit|#)\.? ?[A-Za-z0-9-]{1,8})?",
    )
    .words(&["address", "street", "shipping", "billing"]),
    rule(
        "german_street_address",
        r"(?-u:\b)[A-Z\u{c4}\u{d6}\u{dc}][a-z\u{e4}\u{f6}\u{fc}\u{df}A-Z-]{1,40}(?:stra(?:\u{df}|ss)e|str\.|weg|platz|allee|gasse) \d{1,4} ?[a-z]?(?-u:\b)",
    )
    .words(&["adresse", "anschrift", "stra\u{df}e"]),
    // Cloud providers.
    rule("aws_access_key_id", r"(?-u:\b)(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?-u:\b)"),
    rule(
        "aws_secret_access_key",
        r#"(?i)aws.{0,30}?(?:secret|key|sk).{0,30}?['"=: >](?P<sds_match>[a-z0-9/+]{40})(?:[^a-z0-9/+=]|$)"#,
    ),
    rule("google_api_key", r"(?-u:\b)AIza[0-9A-Za-z_-]{35}"),
    rule("google_oauth_client_secret", r"(?-u:\b)GOCSPX-[A-Za-z0-9_-]{28}"),
    rule("google_oauth_access_token", r"(?-u:\b)ya29\.[A-Za-z0-9_-]{20,2048}"),
    rule("azure_storage_account_key", r"(?i)AccountKey=(?P<sds_match>[a-z0-9+/]{86}==)"),
    rule("azure_client_secret", r"(?-u:\b)[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}"),
    rule("azure_sas_signature", r"[?&]sig=(?P<sds_match>[A-Za-z0-9%/+]{40,100}(?:%3[Dd]|=))"),
    rule("digitalocean_token", r"(?-u:\b)do[oprt]_v1_[0-9a-f]{64}(?-u:\b)"),
    rule("heroku_api_key", r"(?-u:\b)(?:HRKU-)?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?-u:\b)")
        .needs(&["heroku", "heroku api key", "heroku key"]),
    rule("databricks_token", r"(?-u:\b)dapi[0-9a-f]{32}(?:-\d)?(?-u:\b)"),
    rule("hashicorp_vault_token", r"(?-u:\b)hv[sbr]\.[A-Za-z0-9_-]{24,300}"),
    // Code and packages.
    rule("github_token", r"(?-u:\b)gh[pousr]_[A-Za-z0-9]{36,251}(?-u:\b)"),
    rule("github_fine_grained_token", r"(?-u:\b)github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}(?-u:\b)"),
    rule("gitlab_token", r"(?-u:\b)gl(?:pat|dt|rt|ptt|ft|soat)-[A-Za-z0-9_-]{20,300}"),
    rule("npm_token", r"(?-u:\b)npm_[A-Za-z0-9]{36}(?-u:\b)"),
    rule("pypi_token", r"(?-u:\b)pypi-AgE[A-Za-z0-9_-]{50,1000}"),
    rule("docker_token", r"(?-u:\b)dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,32}"),
    rule("atlassian_token", r"(?-u:\b)ATATT3[A-Za-z0-9_=-]{180,250}"),
    rule("linear_api_key", r"(?-u:\b)lin_(?:api|oauth)_[A-Za-z0-9]{40,64}(?-u:\b)"),
    // Messages, mail and telephone.
    rule("slack_token", r"(?-u:\b)xox[abeoprs]-(?:\d-)?[A-Za-z0-9-]{10,250}"),
    rule("slack_app_token", r"(?-u:\b)xapp-\d-[A-Z0-9]{6,20}-\d{6,20}-[a-f0-9]{32,80}(?-u:\b)"),
    rule("slack_webhook", r"hooks\.slack\.com/(?P<sds_match>(?:services|workflows|triggers)/[A-Za-z0-9+/]{30,80})"),
    rule("discord_webhook", r"discord(?:app)?\.com/api/webhooks/(?P<sds_match>\d{17,20}/[A-Za-z0-9_-]{60,80})"),
    rule("telegram_bot_token", r"(?-u:\b)\d{8,10}:AA[A-Za-z0-9_-]{33}"),
    rule("twilio_api_key", r"(?-u:\b)SK[0-9a-f]{32}(?-u:\b)"),
    rule("sendgrid_api_key", r"(?-u:\b)SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    rule("mailgun_api_key", r"(?-u:\b)key-[0-9a-f]{32}(?-u:\b)"),
    rule("mailchimp_api_key", r"(?-u:\b)[0-9a-f]{32}-us\d{1,2}(?-u:\b)"),
    // Payment and commerce.
    rule("stripe_api_key", r"(?-u:\b)[rs]k_(?:live|test)_[A-Za-z0-9]{16,247}(?-u:\b)"),
    rule("stripe_webhook_secret", r"(?-u:\b)whsec_[A-Za-z0-9+/]{32,64}"),
    rule("square_access_token", r"(?-u:\b)(?:sq0atp-[A-Za-z0-9_-]{22}|EAAA[A-Za-z0-9_-]{60})"),
    rule("shopify_token", r"(?-u:\b)shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}(?-u:\b)"),
    // Observability and models.
    rule("datadog_api_key", r"(?-u:\b)[0-9a-f]{32}(?-u:\b)")
        .needs(&["dd api key", "datadog api key", "dd_api_key", "datadog", "dd-api-key", "api_key"]),
    rule("datadog_app_key", r"(?-u:\b)[0-9a-f]{40}(?-u:\b)")
        .needs(&["dd app key", "dd_application_key", "datadog", "application key", "app_key"]),
    rule("new_relic_key", r"(?-u:\b)NRAK-[A-Z0-9]{27}(?-u:\b)"),
    rule("sentry_token", r"(?-u:\b)sntry[su]_[A-Za-z0-9_+/=-]{40,300}"),
    rule("grafana_token", r"(?-u:\b)gl(?:sa|c)_[A-Za-z0-9+/_]{32,400}={0,2}"),
    rule("openai_api_key", r"(?-u:\b)sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100}"),
    rule("anthropic_api_key", r"(?-u:\b)sk-ant-[a-z0-9]{3,8}-[A-Za-z0-9_-]{80,120}"),
    rule("hugging_face_token", r"(?-u:\b)hf_[A-Za-z]{34}(?-u:\b)"),
    // Credentials of any kind.
    rule("jwt", r"(?-u:\b)eyJ[A-Za-z0-9_-]{5,8192}\.eyJ[A-Za-z0-9_-]{5,16384}\.[A-Za-z0-9_-]{0,2048}"),
    // The end may be cut off.
    rule(
        "private_key",
        r"(?s)-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    rule("bearer_token", r"(?i)(?-u:\b)bearer\s{1,4}(?P<sds_match>[a-z0-9._~+/-]{16,8192}={0,2})"),
    rule(
        "basic_auth_header",
        r#"(?i)authorization['"]?\s{0,4}[:=]\s{0,4}['"]?basic\s{1,4}(?P<sds_match>[a-z0-9+/]{8,1024}={0,2})"#,
    ),
    rule("url_credentials", r"[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s/:@?#]{0,256}:(?P<sds_match>[^\s/@?#]{1,256})@"),
    rule(
        "password_assignment",
        r#"(?i)(?-u:\b)(?:password|passwd|passphrase|pwd|secret|client_secret|api[_-]?key|apikey|access[_-]?token|auth[_-]?token)\\?['"]?\s{0,4}(?:=>|[:=])\s{0,4}\\?['"]?(?P<sds_match>[^\s'"&,;\\]{4,256})"#,
    ),
    // The network.
    rule("ipv4", r"(?-u:\b)(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?-u:\b)")
        .words(&["ip", "address", "client", "remote"]),
    rule("ipv6", r"(?i)(?:^|[^0-9a-z:.])(?P<sds_match>[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:\d{1,3}(?:\.\d{1,3}){3})?)(?:$|[^0-9a-z:])")
        .check(Check::Ipv6)
        .words(&["ip", "address", "client", "remote"]),
    rule("mac_address", r"(?i)(?-u:\b)(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})(?-u:\b)")
        .words(&["mac", "hardware", "ethernet"]),
];

/// The rule of this name.
pub(super) fn find(name: &str) -> Option<&'static Standard> {
    LIBRARY.iter().find(|standard| standard.name == name)
}

/// All names, for an error.
pub(super) fn names() -> String {
    let names: Vec<&str> = LIBRARY.iter().map(|standard| standard.name).collect();
    names.join(", ")
}
