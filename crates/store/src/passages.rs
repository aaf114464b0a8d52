//! Full-text search in the documents of flows: SQLite FTS5 with BM25, in memory. Nothing is kept in the database.

use super::error::StoreError;
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Sets of passages whose index is kept: those of live calls. An index has some three times the bytes of its texts.
const INDEXES_MAX: usize = 64;
/// Passages of a set.
const PASSAGES_MAX: usize = 2_000;
/// Words of a search.
const KEYWORDS_MAX: usize = 32;
/// Letters that the forms of a word have in common at least, and those that they may differ in.
const STEM_CHARS_MIN: usize = 4;
const ENDING_CHARS_MAX: usize = 3;

/// A passage to be found.
#[derive(Clone, Copy, Debug)]
pub struct IndexedPassage<'a> {
    /// What it is about; counts most.
    pub title: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Other words for it.
    pub words: &'a str,
}

type SetHash = [u8; 32];

/// Indexes of the sets of passages that were searched last. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct PassageIndex(Arc<Mutex<Indexes>>);

#[derive(Debug, Default)]
struct Indexes {
    /// Opened by the first search: an in-memory database belongs to its connection.
    connection: Option<SqliteConnection>,
    /// The sets and the numbers of their tables; the one that was searched last comes last.
    sets: Vec<(SetHash, u64)>,
    /// Number of the next table.
    next: u64,
}

impl PassageIndex {
    /// Places of the passages that have one of the words, the best first, at most `limit`. Words are folded; their endings
    /// do not matter, and nothing in them is an operator.
    pub async fn search(
        &self, passages: &[IndexedPassage<'_>], keywords: &[String], limit: usize,
    ) -> Result<Vec<usize>, StoreError> {
        let query = query(keywords);
        if passages.is_empty() || query.is_empty() {
            return Ok(Vec::new());
        }
        let hash = hash(passages);
        let mut indexes = Arc::clone(&self.0).lock_owned().await;
        if !indexes.has(hash) {
            // Whoever waits may give up; the index is made all the same, so that the next search finds it.
            let passages: Vec<OwnedPassage> = passages.iter().take(PASSAGES_MAX).map(OwnedPassage::from).collect();
            let made = trunkline_supervision::spawn("passage_index", async move {
                let made = indexes.add(hash, &passages).await;
                if made.is_err() {
                    // Whatever it was: the next search begins with nothing.
                    *indexes = Indexes::default();
                }
                made.map(|()| indexes)
            });
            indexes = match made.await {
                Ok(Ok(made)) => made?,
                // It has panicked, or the program ends.
                Ok(Err(_)) | Err(_) => return Ok(Vec::new()),
            };
        }
        let found = indexes.search(hash, &query, limit).await;
        if found.is_err() {
            *indexes = Indexes::default();
        }
        found
    }
}

impl Indexes {
    fn has(&self, hash: SetHash) -> bool {
        self.sets.iter().any(|(known, _)| *known == hash)
    }

    async fn search(&mut self, hash: SetHash, query: &str, limit: usize) -> Result<Vec<usize>, StoreError> {
        let Some(at) = self.sets.iter().position(|(known, _)| *known == hash) else { return Ok(Vec::new()) };
        let set = self.sets.remove(at);
        self.sets.push(set);
        let table = set.1;
        let Some(connection) = &mut self.connection else { return Ok(Vec::new()) };
        let sql = format!(
            "SELECT rowid FROM p{table} WHERE p{table} MATCH ? ORDER BY bm25(p{table}, 4.0, 1.0, 3.0), rowid LIMIT ?"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(query.to_owned()).bind(limit).fetch_all(connection).await?;
        let places =
            rows.iter().map(|row| row.try_get::<i64, _>(0).map(|id| usize::try_from(id).unwrap_or(usize::MAX)));
        Ok(places.collect::<Result<_, _>>()?)
    }

    /// Makes the table of a set.
    async fn add(&mut self, hash: SetHash, passages: &[OwnedPassage]) -> Result<(), StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(SqliteConnectOptions::new().in_memory(true).connect().await?),
        };
        if self.sets.len() >= INDEXES_MAX {
            let (_, oldest) = self.sets.remove(0);
            sqlx::query(AssertSqlSafe(format!("DROP TABLE p{oldest}"))).execute(&mut *connection).await?;
        }
        let number = self.next;
        self.next += 1;
        let create = format!(
            "CREATE VIRTUAL TABLE p{number} USING fts5(title, text, words, tokenize = 'unicode61 remove_diacritics 2')"
        );
        sqlx::query(AssertSqlSafe(create)).execute(&mut *connection).await?;
        sqlx::query("BEGIN").execute(&mut *connection).await?;
        for (place, OwnedPassage(parts)) in passages.iter().enumerate() {
            let insert = format!("INSERT INTO p{number} (rowid, title, text, words) VALUES (?, ?, ?, ?)");
            let insert = sqlx::query(AssertSqlSafe(insert)).bind(i64::try_from(place).unwrap_or(i64::MAX));
            parts.iter().fold(insert, |insert, part| insert.bind(part.clone())).execute(&mut *connection).await?;
        }
        sqlx::query("COMMIT").execute(&mut *connection).await?;
        self.sets.push((hash, number));
        Ok(())
    }
}

/// Title, text and other words.
struct OwnedPassage([String; 3]);

impl From<&IndexedPassage<'_>> for OwnedPassage {
    fn from(passage: &IndexedPassage<'_>) -> Self {
        Self([passage.title, passage.text, passage.words].map(str::to_owned))
    }
}

fn hash(passages: &[IndexedPassage<'_>]) -> SetHash {
    let mut hash = Sha256::new();
    for part in passages.iter().flat_map(|one| [one.title, one.text, one.words]) {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// Any of the words, each as a string of FTS5 with a prefix: quotes in it are doubled, and nothing else means anything.
fn query(keywords: &[String]) -> String {
    let words = keywords.iter().filter_map(|word| {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        let is_word = word.chars().any(char::is_alphanumeric);
        is_word.then(|| format!("\"{}\"*", stem(&word).replace('"', "\"\"")))
    });
    words.take(KEYWORDS_MAX).collect::<Vec<_>>().join(" OR ")
}

/// What the forms of a word begin with. Figures have no forms.
fn stem(word: &str) -> &str {
    let chars = word.chars().count();
    if chars <= STEM_CHARS_MIN || !word.chars().all(char::is_alphabetic) {
        return word;
    }
    let kept = STEM_CHARS_MIN.max(chars.saturating_sub(ENDING_CHARS_MAX));
    word.char_indices().nth(kept).map_or(word, |(at, _)| word.get(..at).unwrap_or(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: [IndexedPassage<'static>; 3] = [
        IndexedPassage { title: "Opening hours", text: "We are open from nine to five.", words: "close late" },
        IndexedPassage { title: "Returns", text: "You can return everything within thirty days.", words: "refund" },
        IndexedPassage { title: "Öffnungszeiten", text: "Wir haben von neun bis fünf geöffnet.", words: "" },
    ];

    async fn search(index: &PassageIndex, words: &[&str]) -> Vec<usize> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        index.search(&SHOP, &words, 3).await.unwrap()
    }

    #[tokio::test]
    async fn passages_are_found_by_forms_of_their_words() {
        let index = PassageIndex::default();
        assert_eq!(search(&index, &["opened"]).await, [0]);
        assert_eq!(search(&index, &["returning", "open"]).await.len(), 2);
        assert_eq!(search(&index, &["refund"]).await, [1]);
        assert_eq!(search(&index, &["offnungszeit"]).await, [2]);
        assert!(search(&index, &["weather"]).await.is_empty());
        assert!(search(&index, &[]).await.is_empty());
        assert!(index.search(&[], &["open".to_owned()], 3).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn words_of_callers_are_no_operators() {
        let index = PassageIndex::default();
        for hostile in [
            "\"",
            "\"\"\"",
            "NEAR(open, 2)",
            "open AND",
            "NOT",
            "OR",
            "title:open",
            "*",
            "^open",
            "open*)",
            "(((",
            "{title}: x",
            "-open",
            "+",
            "';DROP TABLE p0;--",
            "\u{0}",
            "open\u{0}",
            "\u{202e}nepo",
            "😀",
            "ﷺ",
            "a\u{301}\u{301}\u{301}",
            "日本語",
            "%",
            "_",
            "\\",
            &"x".repeat(100_000),
            &"\"".repeat(10_000),
        ] {
            let found = index.search(&SHOP, &[hostile.to_owned(), hostile.to_owned()], 3).await;
            assert!(found.is_ok(), "{:?}: {found:?}", hostile.chars().take(20).collect::<String>());
        }
        assert_eq!(search(&index, &["opened"]).await, [0], "and the index is as it was");
    }

    #[tokio::test]
    async fn an_index_that_nobody_waits_for_is_made_all_the_same() {
        let index = PassageIndex::default();
        let words = ["opened".to_owned()];
        let given_up = tokio::time::timeout(std::time::Duration::ZERO, index.search(&SHOP, &words, 3));
        assert!(given_up.await.is_err(), "it is being made");
        assert_eq!(search(&index, &["opened"]).await, [0]);
        assert_eq!(index.0.lock().await.next, 1, "it was made once");
    }

    #[tokio::test]
    async fn the_oldest_index_goes_when_there_are_too_many() {
        let index = PassageIndex::default();
        for n in 0..(INDEXES_MAX + 5) {
            let text = format!("Number {n} is open.");
            let set = [IndexedPassage { title: "T", text: &text, words: "" }];
            assert_eq!(index.search(&set, &["open".to_owned()], 3).await.unwrap(), [0]);
        }
        assert_eq!(index.0.lock().await.sets.len(), INDEXES_MAX);
        assert_eq!(search(&index, &["opened"]).await, [0]);
    }
}
