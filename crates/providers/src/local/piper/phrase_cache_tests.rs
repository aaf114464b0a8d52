//! The folder of phrases: its bound, broken files, another run of the server, and who finds what.

use super::*;

fn phrase(bytes: usize, value: u8) -> Phrase {
    let marks = vec![WordTimestamp { at_ms: 120, chars: 4 }, WordTimestamp { at_ms: 300, chars: 9 }];
    Phrase { rate_hz: 22_050, marks, audio: vec![value; bytes].into() }
}

fn key(text: &str) -> PhraseKey {
    PhraseKey::new("org", "joe", "aa", 1_000, text)
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    names.collect()
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("trunkline-phrases-{}", uuid::Uuid::new_v4())))
    }

    fn open(&self, bytes_max: u64) -> PhraseCache {
        PhraseCache::open(&self.0, bytes_max).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_phrase_comes_back_as_it_was_also_in_the_next_run() {
    let folder = Folder::new();
    let cache = folder.open(100_000);
    assert_eq!(cache.get(key("hello")), None);
    cache.put(key("hello"), &phrase(2_000, 1)).unwrap();
    assert_eq!(cache.get(key("hello")), Some(phrase(2_000, 1)));
    let empty = Phrase { marks: Vec::new(), ..phrase(0, 0) };
    cache.put(key("silent"), &empty).unwrap();
    drop(cache);
    std::fs::write(folder.0.join("left.new"), b"half").unwrap();
    std::fs::write(folder.0.join("notes.txt"), b"somebody's").unwrap();
    let again = folder.open(100_000);
    assert_eq!((again.get(key("hello")), again.get(key("silent"))), (Some(phrase(2_000, 1)), Some(empty)));
    let names = files(&folder.0);
    assert!(!names.contains(&"left.new".to_owned()) && names.contains(&"notes.txt".to_owned()), "{names:?}");
}

/// Each part of the name counts, and no two parts run into each other.
#[test]
fn nobody_finds_a_phrase_of_another_organization_voice_model_or_speed() {
    let own = PhraseKey::new("org", "joe", "aa", 1_000, "hello");
    let others = [
        PhraseKey::new("org2", "joe", "aa", 1_000, "hello"),
        PhraseKey::new("org", "amy", "aa", 1_000, "hello"),
        PhraseKey::new("org", "joe", "ab", 1_000, "hello"),
        PhraseKey::new("org", "joe", "aa", 1_100, "hello"),
        PhraseKey::new("org", "joe", "aa", 1_000, "hello."),
        PhraseKey::new("or", "gjoe", "aa", 1_000, "hello"),
    ];
    assert!(others.iter().all(|other| *other != own));
    assert_eq!(PhraseKey::parse(&own.hex()), Some(own));
    assert_eq!((PhraseKey::parse("zz"), PhraseKey::parse(&own.hex()[1..])), (None, None));
}

#[test]
fn names_and_contents_on_the_disk_show_no_words() {
    let folder = Folder::new();
    folder.open(100_000).put(key("open sesame"), &phrase(100, 7)).unwrap();
    let names = files(&folder.0);
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].len(), 64 + ".phrase".len());
    let content = std::fs::read(folder.0.join(&names[0])).unwrap();
    assert!(!content.windows(6).any(|window| window == b"sesame"));
}

#[test]
fn the_oldest_use_goes_when_the_bytes_are_used_up() {
    let folder = Folder::new();
    let cache = folder.open(10_000);
    for text in ["a", "b", "c"] {
        cache.put(key(text), &phrase(1_000, 1)).unwrap();
    }
    let one = cache.bytes() / 3;
    assert!(cache.get(key("a")).is_some(), "used: now b is the oldest");
    for n in 0..7 {
        cache.put(key(&n.to_string()), &phrase(1_000, 1)).unwrap();
    }
    assert!(cache.bytes() <= 10_000 && cache.bytes() >= 10_000 - 2 * one, "{}", cache.bytes());
    let on_disk: u64 = files(&folder.0).iter().map(|name| std::fs::metadata(folder.0.join(name)).unwrap().len()).sum();
    assert_eq!(on_disk, cache.bytes());
    assert_eq!(cache.get(key("b")), None);
    assert!(cache.get(key("a")).is_some());
    drop(cache);
    let smaller = folder.open(3 * one);
    assert!(smaller.bytes() <= 3 * one);
    assert!(smaller.get(key("5")).is_some() || smaller.get(key("a")).is_some());
}

#[test]
fn a_phrase_beyond_its_share_is_not_stored_and_one_stored_twice_counts_once() {
    let folder = Folder::new();
    let cache = folder.open(10_000);
    cache.put(key("long"), &phrase(5_000, 1)).unwrap();
    assert_eq!((cache.bytes(), cache.get(key("long"))), (0, None));
    cache.put(key("a"), &phrase(500, 1)).unwrap();
    let bytes = cache.bytes();
    cache.put(key("a"), &phrase(500, 2)).unwrap();
    assert_eq!((cache.bytes(), cache.get(key("a"))), (bytes, Some(phrase(500, 2))));
}

/// A disk that was full, a bit that flipped, a file of another version, one that somebody deleted.
#[test]
fn a_broken_file_is_no_phrase_and_can_be_made_anew() {
    let folder = Folder::new();
    let cache = folder.open(100_000);
    let damages: [fn(Vec<u8>) -> Vec<u8>; 5] = [
        |file| file[..file.len() / 2].to_vec(),
        |mut file| {
            file[40] ^= 1;
            file
        },
        |mut file| {
            file[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
            let content = file.len() - HASH_BYTES;
            let hash = Sha256::digest(&file[..content]);
            file[content..].copy_from_slice(&hash);
            file
        },
        |_| Vec::new(),
        |mut file| {
            file[0] = b'X';
            let content = file.len() - HASH_BYTES;
            let hash = Sha256::digest(&file[..content]);
            file[content..].copy_from_slice(&hash);
            file
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        cache.put(key("a"), &phrase(500, 1)).unwrap();
        let path = cache.path(key("a"));
        std::fs::write(&path, damage(std::fs::read(&path).unwrap())).unwrap();
        assert_eq!(cache.get(key("a")), None, "damage {number}");
        assert!(!path.exists() && cache.bytes() == 0, "damage {number}");
    }
    cache.put(key("a"), &phrase(500, 1)).unwrap();
    std::fs::remove_file(cache.path(key("a"))).unwrap();
    assert_eq!((cache.get(key("a")), cache.bytes()), (None, 0));
    cache.put(key("a"), &phrase(500, 3)).unwrap();
    assert_eq!(cache.get(key("a")), Some(phrase(500, 3)));
}

#[test]
fn a_disk_that_refuses_leaves_nothing_behind() {
    let folder = Folder::new();
    let cache = folder.open(100_000);
    std::fs::remove_dir_all(&folder.0).unwrap();
    assert!(cache.put(key("a"), &phrase(500, 1)).is_err());
    assert_eq!((cache.bytes(), cache.get(key("a"))), (0, None));
}
