//! How the signs of an address and the months are called when a value is read back. The languages of text normalization have
//! their own tables; here are the others that have stock phrases.

use super::super::text_normalization::SpokenNames;
use super::words::base;

/// Names of the signs in an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignNames {
    pub(super) at: &'static str,
    pub(super) dot: &'static str,
    pub(super) dash: &'static str,
    pub(super) underscore: &'static str,
    pub(super) plus: &'static str,
}

impl SignNames {
    /// In this language; English for those that are not known.
    pub(super) fn of(language: &str) -> Self {
        let [at, dot, dash, underscore, plus] = match base(language) {
            "sv" => ["snabel-a", "punkt", "bindestreck", "understreck", "plus"],
            "da" => ["snabel-a", "punktum", "bindestreg", "understreg", "plus"],
            "nb" | "nn" | "no" => ["krøllalfa", "punktum", "bindestrek", "understrek", "pluss"],
            "fi" => ["ät-merkki", "piste", "viiva", "alaviiva", "plus"],
            "pl" => ["małpa", "kropka", "myślnik", "podkreślnik", "plus"],
            "cs" => ["zavináč", "tečka", "pomlčka", "podtržítko", "plus"],
            "ru" => ["собака", "точка", "дефис", "подчёркивание", "плюс"],
            "uk" => ["равлик", "крапка", "дефіс", "підкреслення", "плюс"],
            "tr" => ["et", "nokta", "tire", "alt çizgi", "artı"],
            "ar" => ["آت", "نقطة", "شرطة", "شرطة سفلية", "زائد"],
            "hi" => ["ऐट", "डॉट", "डैश", "अंडरस्कोर", "प्लस"],
            "ja" => ["アットマーク", "ドット", "ハイフン", "アンダーバー", "プラス"],
            "zh" => ["艾特", "点", "横杠", "下划线", "加号"],
            "ko" => ["골뱅이", "점", "하이픈", "밑줄", "플러스"],
            _ => {
                let SpokenNames { at, dot, dash, underscore, plus, .. } = SpokenNames::of(language);
                [at, dot, dash, underscore, plus]
            }
        };
        Self { at, dot, dash, underscore, plus }
    }
}

/// The months as they stand in a date. Empty where months have numbers.
fn months(language: &str) -> &'static str {
    match base(language) {
        "sv" => "januari februari mars april maj juni juli augusti september oktober november december",
        "da" => "januar februar marts april maj juni juli august september oktober november december",
        "nb" | "nn" | "no" => "januar februar mars april mai juni juli august september oktober november desember",
        "fi" => {
            "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta \
             marraskuuta joulukuuta"
        }
        "pl" => "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
        "cs" => "ledna února března dubna května června července srpna září října listopadu prosince",
        "ru" => "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
        "uk" => "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
        "tr" => "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
        "ar" => "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
        "hi" => "जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर",
        _ => "",
    }
}

/// The name of a month, counted from 0.
pub(super) fn month(language: &str, place: usize) -> &'static str {
    let own = months(language).split_whitespace().nth(place);
    own.or_else(|| SpokenNames::of(language).months.get(place).copied()).unwrap_or_default()
}
