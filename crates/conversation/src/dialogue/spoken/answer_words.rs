//! Words of yes and no, and idioms that look like the other one, in each language. Lists are parted by bars.

use super::words::base;

/// Words that agree, and those that do not; more than one word where they belong together. Before two bars stand the words that
/// agree by themselves ("yes"); where there are none, it is the first one.
pub(super) type Lists = (&'static str, &'static str);

const NL: Lists = (
    "ja|jawel|yes||klopt|dat klopt|juist|correct|goed|inderdaad|precies|zeker|oke|prima|denk het|ik denk van wel|volgens mij wel|geloof het wel|geloof van wel|vast wel|zal wel",
    "nee|neen|niet|fout|verkeerd|onjuist|geen|nope",
);
const DE: Lists = (
    "ja|jawohl|jo|doch||genau|stimmt|richtig|korrekt|passt|klar|okay|sicher|exakt|denke schon|denk schon|glaube schon|glaub schon|wohl schon|ich vermute|vermutlich|ich nehme es an|nehme ich an",
    "nein|nee|nicht|falsch|verkehrt|kein|keineswegs",
);
const FR: Lists = (
    "oui|ouais|mais si||exact|exactement|correct|juste|d'accord|voila|tout a fait|parfait|c'est ca|bien sur|je pense|je crois|je suppose|j'imagine|il me semble",
    "non|pas|faux|incorrect|aucun|nan",
);
const ES: Lists = (
    "sí||correcto|exacto|claro|vale|eso es|asi es|cierto|perfecto|de acuerdo|eso creo|supongo|me imagino|creo que asi es",
    "no|incorrecto|mal|tampoco|falso",
);
const IT: Lists = (
    "sì||esatto|corretto|giusto|certo|va bene|perfetto|okay|d'accordo|esattamente|suppongo|immagino|lo credo|mi sembra",
    "no|non|sbagliato|errato|scorretto",
);
const PT: Lists = (
    "sim||correto|certo|exato|isso|claro|esta bem|perfeito|exatamente|pois|suponho|imagino|acho que e isso|parece que sim",
    "nao|errado|incorreto|falso",
);
const EN: Lists = (
    "yes|yeah|yep|yup|aye||correct|right|sure|exactly|okay|ok|that's it|absolutely|indeed|perfect|fine|true|definitely|guess so|think so|suppose so|believe so|say so|reckon so|hope so|should be|sounds good|looks good",
    "no|nope|nah|not|isn't|wrong|incorrect|false|don't|never|doesn't",
);

const SV: Lists = (
    "ja|jo|japp|jajamen|absolut|precis|stämmer|korrekt|rätt|okej|okay|ok|gärna|visst|självklart|exakt",
    "nej|nä|inte|fel|nope|aldrig",
);
const DA: Lists = ("ja|jo|jep|præcis|korrekt|rigtigt|passer|gerne|okay|ok|selvfølgelig", "nej|næ|ikke|forkert|aldrig");
const NB: Lists =
    ("ja|jo|japp|stemmer|riktig|korrekt|gjerne|okei|okay|ok|selvfølgelig|nettopp", "nei|næ|ikke|ikkje|feil|aldri");
const FI: Lists = (
    "kyllä|joo|juu|jep|aivan|oikein|totta|pitää paikkansa|ok|okei|tietysti|toki|mielellään",
    "ei|en|eikä|väärin|emme|ette|eivät",
);
const PL: Lists = (
    "tak|owszem|zgadza|dokładnie|racja|jasne|oczywiście|poproszę|dobrze|pewnie|okej|ok|prawda|poprawnie|no tak",
    "nie|błędnie|źle|błąd|niepoprawnie|nieprawda",
);
const CS: Lists = (
    "ano|jo|jasně|správně|přesně|souhlasí|dobře|určitě|samozřejmě|přesně tak|ok",
    "ne|není|nechci|špatně|nikoli|nikoliv|nesouhlasí|nemusíte|děkuji ne",
);
const RU: Lists = (
    "да|ага|угу|верно|правильно|конечно|хорошо|точно|так|давайте|хочу|всё верно|ладно|окей",
    "нет|не|неверно|неправильно|неа|никогда",
);
const UK: Lists =
    ("так|ага|вірно|правильно|звичайно|добре|точно|авжеж|гаразд|хочу|звісно", "ні|не|неправильно|невірно|ніколи");
const TR: Lists = (
    "evet|tamam|doğru|olur|tabii|tabi|elbette|aynen|peki|isterim|kesinlikle",
    "hayır|yok|değil|yanlış|olmaz|istemiyorum|istemem|gerek yok",
);
const AR: Lists = (
    "نعم|أجل|اجل|أيوه|ايوه|أيوة|ايوة|إيه|صحيح|تمام|طبعا|طبعًا|أكيد|اكيد|بالتأكيد|حسنا|حسنًا|موافق|بلى|صح",
    "لا|ليس|غير|خطأ|كلا|مش|مو|لست|أبدا",
);
const HI: Lists = ("हाँ|हां|हा|जी|सही|ठीक|बिल्कुल|बिलकुल|ज़रूर|जरूर|अच्छा|बेशक", "नहीं|नही|ना|न|गलत|ग़लत|मत");
const KO: Lists = (
    "네|예|응|맞아요|맞습니다|맞아|그래요|좋아요|좋습니다|부탁합니다|부탁드립니다|부탁드려요|부탁해요|그렇습니다|그럼요|맞네요",
    "아니요|아니오|아뇨|아니|아닙니다|아니에요|안|틀렸어요|틀립니다|틀렸습니다|싫어요",
);
/// Scripts without blanks: words are looked for anywhere, and idioms with a word of the other list are read first.
const JA: Lists = (
    "間違いありません|間違いございません|間違いない|問題ありません|問題ない|はい|ええ|そうです|お願い|その通り|合って|正しい|もちろん",
    "いいえ|いえ|違|ちが|ない|ません|結構|だめ|不要|いや",
);
const ZH: Lists = (
    "没错|沒錯|没问题|沒問題|不错|不錯|可以|当然|當然|正确|正確|好的|好|是|对|對|行|嗯|需要|要",
    "不|没|沒|别|別|错|錯|否|算了",
);

/// The words of a language; English for those that are not known.
pub(super) fn lists(language: &str) -> Lists {
    match base(language) {
        "nl" => NL,
        "de" => DE,
        "fr" => FR,
        "es" => ES,
        "it" => IT,
        "pt" => PT,
        "sv" => SV,
        "da" => DA,
        "nb" | "nn" | "no" => NB,
        "fi" => FI,
        "pl" => PL,
        "cs" => CS,
        "ru" => RU,
        "uk" => UK,
        "tr" => TR,
        "ar" => AR,
        "hi" => HI,
        "ko" => KO,
        "ja" => JA,
        "zh" => ZH,
        _ => EN,
    }
}

/// Idioms of a language. A phrase with a full stop stands at the end of its clause.
#[derive(Debug)]
pub(super) struct Idioms {
    /// They agree, although they hold a denial: "why not".
    pub(super) assent: &'static str,
    /// Behind a denial they say that the caller does not know: "not quite sure".
    pub(super) sure: &'static str,
    /// The same, before or behind it: "ik weet het niet", "weiß ich nicht".
    pub(super) know: &'static str,
    /// They say it by themselves.
    pub(super) doubt: &'static str,
    /// What follows restricts what was said.
    pub(super) but: &'static str,
}

const IDIOMS: &[(&str, Idioms)] = &[
    (
        "en",
        Idioms {
            assent: "don't see why not|can't see why not|no reason why not|why not.|no problem|not a problem|don't see a problem|don't see any problem|see no problem|no worries|no objection|no objections|no doubt|without a doubt|no question|wouldn't say no|can't say no|don't mind|wouldn't mind|not wrong|couldn't agree more|nothing wrong|no complaints|can't hurt|can't wait|can't complain",
            sure: "sure|certain|positive|convinced|know|remember|recall|tell",
            know: "",
            doubt: "no idea|no clue|dunno|can't say|couldn't say|hard to say|unsure",
            but: "but|though|although",
        },
    ),
    (
        "nl",
        Idioms {
            assent: "niet in waarom niet|waarom niet.|geen probleem|geen bezwaar|niets op tegen|niks op tegen|geen punt|niks mis mee|niets mis mee|niet verkeerd|zeg geen nee",
            sure: "zeker|sicher",
            know: "weet|weten|wist|herinner",
            doubt: "geen idee|ik twijfel|geen flauw idee",
            but: "maar",
        },
    ),
    (
        "de",
        Idioms {
            assent: "warum nicht.|wieso nicht.|kein problem|kein ding|kein thema|keine frage|keine einwände|nichts dagegen|nicht verkehrt|nicht schlecht|sage nicht nein|sag nicht nein",
            sure: "sicher|überzeugt",
            know: "weiß|wüsste|erinnere",
            doubt: "keine ahnung|kein plan|schwer zu sagen",
            but: "aber",
        },
    ),
    (
        "fr",
        Idioms {
            assent: "pourquoi pas.|pas de problème|pas de problèmes|pas de souci|pas de soucis|aucun problème|sans problème|sans souci|aucun souci|pas d'objection|dis pas non|dirais pas non|pas mal|dérange pas|aucune objection",
            sure: "sûr|sûre|certain|certaine|convaincu|convaincue",
            know: "sais|saurais|souviens|rappelle",
            doubt: "aucune idée|sais rien|sais plus",
            but: "mais",
        },
    ),
    (
        "es",
        Idioms {
            assent: "no veo por qué no|por qué no.|cómo no|no hay problema|ningún problema|sin problema|no hay inconveniente|no tengo inconveniente|no me importa|no está mal|no digo que no",
            sure: "seguro|segura|recuerdo|sabría",
            know: "",
            doubt: "no lo sé|no sé.|no sé si|no sé qué|no sé decir|ni idea|no tengo idea|no me acuerdo|quién sabe",
            but: "pero",
        },
    ),
    (
        "it",
        Idioms {
            assent: "non vedo perché no|perché no.|come no|nessun problema|senza problemi|non c'è problema|non ci sono problemi|nulla in contrario|niente in contrario|non mi dispiace|non dico di no",
            sure: "sicuro|sicura|so|saprei|ricordo",
            know: "",
            doubt: "boh|nessuna idea|non ne ho idea|chi lo sa",
            but: "ma|però",
        },
    ),
    (
        "pt",
        Idioms {
            assent: "não vejo por que não|por que não.|porque não.|por quê não.|pois não|como não|não há problema|não tem problema|nenhum problema|sem problema|sem problemas|não me importo|não vejo problema|não digo que não",
            sure: "certeza|seguro|segura|sei|lembro|saberia",
            know: "",
            doubt: "sei lá|não faço ideia|não tenho ideia|não estou certo|não estou certa|quem sabe",
            but: "mas|porém",
        },
    ),
    ("sv", few("varför inte.|inga problem|inget problem", "vet inte|inte säker|ingen aning")),
    ("da", few("hvorfor ikke.|intet problem|ikke noget problem", "ved ikke|ved det ikke|ikke sikker|ingen anelse")),
    ("nb", few("hvorfor ikke.|ikke noe problem", "vet ikke|vet det ikke|ikke sikker|aner ikke")),
    ("fi", few("miksi ei.|mikä ettei.|ei ongelmaa|ei haittaa", "en tiedä|en ole varma|ei aavistustakaan")),
    (
        "pl",
        few(
            "czemu nie.|dlaczego nie.|nie ma problemu|nie ma sprawy|żaden problem",
            "nie wiem|nie jestem pewien|nie jestem pewna|nie pamiętam",
        ),
    ),
    ("cs", few("proč ne.|není problém|žádný problém", "nevím|nejsem si jistý|nejsem si jistá|není mi jasné")),
    (
        "ru",
        few(
            "почему нет.|почему бы и нет.|без проблем|нет проблем|не против|не возражаю",
            "не знаю|не уверен|не уверена|не помню",
        ),
    ),
    (
        "uk",
        few("чому ні.|чому б і ні.|без проблем|не проти|не заперечую", "не знаю|не впевнений|не впевнена|не пам'ятаю"),
    ),
    ("tr", few("neden olmasın.|niye olmasın.|sorun yok|sorun değil", "bilmiyorum|emin değilim|hiçbir fikrim yok")),
    ("ar", few("لم لا.|لما لا.|ليش لا.|لا مشكلة|لا مانع|لا بأس", "لا أعرف|لا أعلم|لا ادري|لا أدري|لست متأكدا|لست متأكد|مش عارف")),
    ("hi", few("क्यों नहीं.|कोई बात नहीं|कोई दिक्कत नहीं", "पता नहीं|मालूम नहीं|नहीं पता|यकीन नहीं")),
    ("ko", few("안 될 거 없죠|문제 없어요|문제없어요", "모르겠어요|모르겠습니다|잘 몰라요|글쎄요")),
    ("ja", few("", "わかりません|分かりません|わからない|分からない|知りません|自信がない")),
    ("zh", few("为什么不|為什麼不|为何不|何乐而不为|不介意", "不知道|不确定|不確定|不清楚|不好说|不好說")),
];

const fn few(assent: &'static str, doubt: &'static str) -> Idioms {
    Idioms { assent, sure: "", know: "", doubt, but: "" }
}

/// The idioms of a language; English for those that are not known.
pub(super) fn idioms(language: &str) -> &'static Idioms {
    let wanted = match base(language) {
        "nn" | "no" => "nb",
        other => other,
    };
    let known = IDIOMS.iter().find(|(name, _)| *name == wanted).or_else(|| IDIOMS.first());
    known.map_or(&NONE, |(_, idioms)| idioms)
}

static NONE: Idioms = few("", "");
