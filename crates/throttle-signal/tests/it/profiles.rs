//! Which profile reads, and how a user adds to it.

use http::{HeaderMap, StatusCode};
use throttle_signal::{Kind, Profile, Reader, Rule, Scope};

const BODY: &[u8] = br#"{"error":{"code":"insufficient_quota","message":"x"}}"#;

fn read(reader: &Reader, host: &str) -> (Kind, String) {
    let throttle = reader.classify(host, StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), BODY);
    let throttle = throttle.unwrap();
    (throttle.kind(), throttle.because().to_owned())
}

#[test]
fn the_host_chooses() {
    let reader = Reader::new();
    for (host, kind, profile) in [
        ("dashscope.aliyuncs.com", Kind::TokenRate, "model-studio"),
        (
            "DashScope-intl.AliyunCS.com",
            Kind::TokenRate,
            "model-studio",
        ),
        ("api.openai.com", Kind::QuotaExhausted, "openai"),
        ("x.openai.azure.com", Kind::QuotaExhausted, "azure-openai"),
        ("openai.com.example", Kind::TokenRate, "generic"),
        ("notopenai.com", Kind::TokenRate, "generic"),
        ("", Kind::TokenRate, "generic"),
    ] {
        let (read, because) = read(&reader, host);
        assert_eq!(read, kind, "{host}");
        assert!(because.starts_with(profile), "{host}: {because}");
    }
}

#[test]
fn a_name_chooses_where_the_host_cannot() {
    let reader = Reader::new().profile(Profile::named("model-studio").unwrap());
    assert_eq!(read(&reader, "127.0.0.1").0, Kind::TokenRate);
    assert_eq!(read(&reader, "api.openai.com").0, Kind::TokenRate);
    assert!(Profile::named("nobody").is_none());
}

#[test]
fn names_are_unique_and_lead_to_their_profile() {
    let mut names: Vec<_> = Profile::names().collect();
    for name in &names {
        assert_eq!(Profile::named(name).unwrap().name(), *name);
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 30, "{count}");
}

#[test]
fn a_users_rules_come_before_those_of_the_profile() {
    const OURS: Rule = Rule::new("ours")
        .code(&["insufficient_quota"])
        .means(Kind::Overloaded, Scope::Server);
    let profile = Profile::named("openai").unwrap().rule(OURS);
    let reader = Reader::new().also(profile);
    assert_eq!(
        read(&reader, "api.openai.com"),
        (Kind::Overloaded, "openai: ours".to_owned())
    );
    // Nobody else's profile has changed.
    assert_eq!(
        read(&Reader::new(), "api.openai.com").0,
        Kind::QuotaExhausted
    );
}

#[test]
fn a_users_profile_is_for_its_hosts_only() {
    let profile = Profile::named("openai")
        .unwrap()
        .rename("relay")
        .host("relay.example");
    let reader = Reader::new().also(profile);
    assert_eq!(read(&reader, "eu.relay.example").0, Kind::QuotaExhausted);
    assert_eq!(read(&reader, "other.example").0, Kind::TokenRate);
}

#[test]
fn a_rule_can_say_that_it_is_no_refusal() {
    let profile = Profile::new("mine")
        .host("a.example")
        .rule(Rule::new("fine").status(&[429]));
    let reader = Reader::new().also(profile);
    let read = |host| reader.classify(host, StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), b"");
    assert_eq!(read("a.example"), None);
    assert!(read("b.example").is_some());
}
