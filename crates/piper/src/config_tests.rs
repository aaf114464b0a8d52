//! What is read of a voice's configuration, and what is refused.

use super::*;

fn document(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut json = serde_json::json!({
        "audio": {"sample_rate": 22_050, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": {"_": [0], "^": [1], "$": [2], " ": [3], "a": [14], "ç": [40], "ab": [15]},
        "num_symbols": 256, "num_speakers": 1,
    });
    change(&mut json);
    serde_json::to_vec(&json).unwrap()
}

fn refusal(change: impl FnOnce(&mut serde_json::Value)) -> String {
    VoiceConfig::parse(&document(change)).unwrap_err().to_string()
}

#[test]
fn a_configuration_is_read() {
    let config = VoiceConfig::parse(&document(|_| {})).unwrap();
    assert_eq!((config.sample_rate_hz, config.espeak_voice.as_str(), config.has_speakers), (22_050, "en-us", false));
    assert_eq!((config.noise_scale, config.length_scale, config.noise_w), (0.667, 1.0, 0.8));
    assert_eq!((config.ids('a'), config.ids('b'), config.ids('ç')), (&[14][..], &[][..], &[40][..]));
    let several = VoiceConfig::parse(&document(|json| json["num_speakers"] = 904.into())).unwrap();
    assert!(several.has_speakers);
    let older = VoiceConfig::parse(&document(|json| {
        json.as_object_mut().unwrap().remove("inference");
        json.as_object_mut().unwrap().remove("phoneme_type");
    }));
    assert_eq!(older.unwrap().noise_w, 0.8);
}

#[test]
fn what_is_no_voice_is_refused_in_words() {
    assert!(VoiceConfig::parse(b"{}").unwrap_err().to_string().contains("missing field `audio`"));
    assert!(VoiceConfig::parse(b"\x08\x03").is_err());
    assert!(refusal(|json| json["phoneme_type"] = "pinyin".into()).contains("phoneme_type is \"pinyin\""));
    assert!(refusal(|json| json["audio"]["sample_rate"] = 4_000.into()).contains("sample_rate is 4000"));
    assert!(refusal(|json| json["espeak"]["voice"] = "en us; rm".into()).contains("espeak.voice"));
    assert!(refusal(|json| json["inference"]["length_scale"] = 0.into()).contains("inference"));
    assert!(refusal(|json| json["inference"]["noise_w"] = (-1).into()).contains("inference"));
    assert!(refusal(|json| json["phoneme_id_map"]["a"] = serde_json::json!([256])).contains("\"a\""));
    assert!(refusal(|json| json["phoneme_id_map"]["a"] = serde_json::json!([])).contains("\"a\""));
    assert!(refusal(|json| drop(json["phoneme_id_map"].as_object_mut().unwrap().remove("$"))).contains("no '$'"));
}
