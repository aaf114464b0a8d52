//! Words that begin sentences: with a capital they are no names, so a dot before them is that of a sentence too, whatever
//! abbreviation it belongs to. They are words of grammar, which a language has few of.

use super::locale::Locale;

const ENGLISH: &str = "The A An This That These Those There Here It It's Its He She We We'll We're You You'll You're Your They I \
     I'm I'll I've Please Thank Thanks If When Where What Which Who Why How Would Could Can Shall Should Do Does \
     Did Is Are Was Were Have Has Had Let Let's And But Or So Then Our My His Her Their In On At For From With \
     After Before Also However Otherwise Yes No Okay OK Sorry All Any Next Now Once Since While Until Because \
     Both Each Every Some Such Unfortunately Just Only To Of By As Not Nothing Everything Great Perfect";
const DUTCH: &str = "De Het Een Dit Dat Deze Die Er Hier Daar Ik U Jij Je We Wij Ze Zij Hij Wilt Wil Kunt Kan Kunnen Zal Zullen \
     Mag Moet Is Zijn Heeft Heb Hebt Was Als Wanneer Waar Wat Welke Wie Hoe Waarom En Maar Of Dus Dan Ook Graag \
     Dank Bedankt Onze Ons Uw Mijn Alle In Op Om Bij Voor Van Met Na Vanaf Daarna Helaas Ja Nee Oké Sorry Neemt \
     Belt Laat Zo Nu Alstublieft Prima Goed";
const GERMAN: &str = "Aber Ab Alle Also Am An Auch Auf Bei Bis Bitte Da Danach Danke Dann Das Davor Den Denn Der Die Dies Diese \
     Dieser Dort Ein Eine Er Es Falls Für Gern Gerne Gibt Gut Haben Hat Heute Hier Ich Ihr Ihre Im In Ist Ja \
     Jetzt Kann Können Kommen Leider Mit Möchten Morgen Nach Natürlich Nein Nun Ob Oder Passt Rufen Sie Sind So \
     Soll Sollen Super Um Und Unser Unsere Viele Vielen Vom Von Vor Wann Warum Was Welche Wenn Wer Wie Wir Wo \
     Wollen Wurde Würden Zu Zum Zur";
const FRENCH: &str = "La Les L Un Une Des Ce Cet Cette Ces C Il Elle On Nous Vous Ils Elles Je J Tu Voulez Pouvez Puis Avez Est \
     Êtes Si Quand Où Que Qu Quel Quelle Quels Quelles Qui Comment Pourquoi Et Mais Ou Donc Alors Merci Notre Nos \
     Votre Vos Mon Ma Mes Pour Dans En Avec À Au Aux Après Avant Ensuite Oui Non Désolé Souhaitez Veuillez Sinon \
     Y Le Tout Tous Toute Toutes Malheureusement Sur";
const SPANISH: &str = "El La Los Las Un Una Este Esta Estos Estas Esto Eso Él Ella Yo Usted Ustedes Nosotros Le Les Lo Se Me Nos Te \
     Si Cuando Cuándo Dónde Qué Quién Cómo Por Para Pero Y O Entonces Gracias Nuestro Nuestra Nuestros Nuestras \
     Su Sus Mi Mis Tu En Con Al A Hay Es Son Está Están Puede Pueden Quiere Desea También Sí No Perdón Después \
     Antes Ahora Todo Todos Todas Lamentablemente Luego";
const ITALIAN: &str = "Il Lo La I Gli Le L Un Una Uno Questo Questa Questi Queste Quello Lei Lui Io Noi Voi Loro Si Mi Ci Vi Se \
     Quando Dove Che Chi Come Perché Quale E Ma O Quindi Allora Grazie Nostro Nostra Suo Sua Mio In Con Per A Al \
     Alla È Sono Ha Ho Può Vuole Desidera Anche Sì No Scusi Dopo Prima Ora Poi Tutto Tutti Purtroppo Abbiamo";
const PORTUGUESE: &str = "O A Os As Um Uma Este Esta Isso Isto Ele Ela Eu Você Vocês Nós Eles Se Quando Onde Que Quem Como Porque Por \
     Para Mas E Ou Então Obrigado Obrigada Nosso Nossa Seu Sua Meu Minha Em No Na Com À Ao É São Está Há Pode \
     Quer Deseja Também Sim Não Desculpe Depois Antes Agora Temos Tudo Todos Infelizmente";

/// The words of a language, parted by blanks.
pub(super) fn sentence_starts(locale: Locale) -> &'static str {
    let lists = [
        (locale.is_english(), ENGLISH),
        (locale.is_dutch(), DUTCH),
        (locale.is_german(), GERMAN),
        (locale.is_french(), FRENCH),
        (locale.is_spanish(), SPANISH),
        (locale.is_italian(), ITALIAN),
    ];
    lists.into_iter().find(|(is_spoken, _)| *is_spoken).map_or(PORTUGUESE, |(_, list)| list)
}

/// Whether a word begins sentences.
pub(super) fn begins_sentence(word: &str, starts: &str) -> bool {
    starts.split(' ').any(|start| start == word)
}

/// Whether a longer text may become such a word.
pub(super) fn may_begin_sentence(head: &str, starts: &str) -> bool {
    starts.split(' ').any(|start| start.starts_with(head))
}

/// Whether a word of German begins a sentence behind a dot that may be that of a date.
pub(super) fn begins_german_sentence(word: &str) -> bool {
    begins_sentence(word, GERMAN)
}

/// Whether a longer text may become such a word.
pub(super) fn may_begin_german_sentence(head: &str) -> bool {
    may_begin_sentence(head, GERMAN)
}
