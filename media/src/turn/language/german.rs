//! German.

use super::table::{Grammar, LanguageTable, Replies, Topics, Values};
use crate::turn::cues::WEIGHTS_OTHER;

pub(super) const TABLE: LanguageTable = LanguageTable {
    grammar: Grammar {
        never_last: "und oder aber weil der die eine einen einem einer eines mein meine meinen meiner ihre ihren \
            unser unsere dein deine wenn dass ich wir den dem zum zur im am vom beim ins ans obwohl während damit \
            bevor nachdem sondern denn deren dessen jede jeder",
        seldom_last: "also das ihr ist war bin sind waren wird von für in bei auch unter zwischen gegen ohne \
            hat habe haben hatte kann können will möchte soll muss darf würde werde wurde sehr noch nur bis \
            seit pro er sie es was wie ob als",
        prenominals: "diese dieser dieses diesen mehr viele wenige andere anderen neue neuen nächste eigene \
            erste alte große kleine verschiedene einige an auf aus ab mit zu nach vor ein um durch über",
        needs_object: "möchte brauche hätte suche habe will gebe nehme schicke wähle drücke",
        particles: "zu nicht gerne jetzt bitte auch",
        subordinators: "wenn dass weil obwohl während bevor nachdem sobald falls da als solange",
        determiners: "der die das den dem ein eine einen mein meine ihr ihre unser unsere dein deine dieser diese \
            dieses kein keine jede",
        subjects: "ich du er sie es wir ihr man",
        fronted: "alles was etwas nichts",
        finite: "ist war bin sind waren hat habe haben hatte hätte kann können konnte will wollen möchte soll \
            sollte muss müssen darf dürfen wird werden würde wurde geht ging kommt kam steht macht sagt weiß \
            braucht funktioniert stimmt dauert heißt heiße wohne wohnt bekomme bekommt gibt suche brauche fängt \
            liegt finde findet denke glaube hoffe läuft fällt zahle zahlt kaufe kaufte nehme nimmt sieht bekam \
            rief hattest möchten sollten könnten wollte wollten brauchte könnte müsste \
            dürfte fehlt fehlte schickte schickt lag",
        pairs: &[("entweder", "oder"), ("zwischen", "und"), ("sowohl", "als"), ("weder", "noch")],
        modals: "kann können könnte könnten soll sollen sollte sollten muss müssen müsste darf dürfen dürfte wird werde werden würde würden",
        is_verb_final: true,
        joiners: "und oder",
        question_words: "was wo wann wer wen wem welche welcher welches warum wieso wie wieviel woher wohin",
        question_verbs: "ist sind war haben hat kann können könnten wollen möchten soll muss darf wird werden würden \
            gibt geht stimmt wissen",
        imperatives: "bitte drücken wählen geben rufen senden machen nehmen warten lassen gehen kommen suchen \
            verbinden willkommen danke sprechen",
    },
    replies: Replies {
        fillers: "äh ähm hm hmm öh em ehm eh",
        answers: "ja|nein|okay|ok|gut|genau|richtig|stimmt|das stimmt|ja genau|ja das stimmt|ja richtig|danke|\
            vielen dank|danke schön|dankeschön|auf wiederhören|auf wiedersehen|tschüss|hallo|gerne|gern|ja gerne|\
            ja bitte|nein danke|natürlich|klar|sicher|das war's|das war alles|nein das war's|weiß ich nicht|\
            das weiß ich nicht|ich weiß es nicht|ich weiß nicht|stopp|stop|guten tag|guten morgen|guten abend|\
            perfekt|passt|das passt|in ordnung|alles klar|noch nicht|nichts|gar nicht|doch|jawohl|auf jeden fall|\
            entschuldigung|super",
        affirmations: "ja okay ok gut gerne also doch hallo guten tag morgen abend",
        lead_ins: "ja nein okay ok also und aber hallo nun",
        request_verbs: "können könnten darf dürfte würden",
        holds: "moment|einen moment|einen moment bitte|moment bitte|moment mal|mal sehen|mal schauen|\
            einen augenblick|einen augenblick bitte|augenblick|augenblick bitte|warten sie|warten sie bitte|\
            warte|warten sie kurz|kleinen moment|einen kleinen moment|eine sekunde|sekunde|ich schaue mal|\
            ich schau mal|ich schaue nach|ich schau nach|ich suche kurz|lassen sie mich überlegen|\
            lassen sie mich nachsehen|wie sagt man|bitte warten|ich muss nachsehen|ich hätte gerne|\
            ich hätte gern|ich würde gerne|ich würde gern|ich möchte gerne",
    },
    values: Values {
        digits: "null eins zwei drei vier fünf sechs sieben acht neun zwo",
        numbers: "zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig dreißig \
            vierzig fünfzig sechzig siebzig achtzig neunzig",
        multipliers: "doppel zweimal dreimal hundert tausend raute stern",
        spelling: "anton berta cäsar dora emil friedrich gustav heinrich ida julius kaufmann ludwig martha \
            nordpol otto paula quelle richard samuel siegfried theodor ulrich viktor wilhelm xanthippe ypsilon \
            zacharias zeppelin aachen alfa alpha bravo charlie delta echo foxtrot golf hotel india juliett \
            juliet kilo lima mike november oscar papa quebec romeo sierra tango uniform victor whiskey yankee \
            zulu",
        address_words: "at punkt minus bindestrich unterstrich plus klammeraffe",
        items: "montag dienstag mittwoch donnerstag freitag samstag sonntag heute morgen erste zweite dritte vierte \
            fünfte ersten zweiten dritten",
        months: "januar februar märz april mai juni juli august september oktober november dezember",
        phone_digits: (10, 12),
        postal_digits: (5, 5),
    },
    topics: Topics {
        phone: "telefonnummer|rufnummer|handynummer|mobilnummer|zurückrufen|unter welcher nummer",
        number: "nummer|bestellnummer|auftragsnummer|kundennummer|kontonummer|code|pin|rechnungsnummer|\
            vertragsnummer|aktenzeichen|ziffern|durchwahl|hausnummer|versicherungsnummer",
        postal: "postleitzahl|plz",
        digit: "stellig|stellige|stelligen|ziffern|stellen",
        date: "datum|geburtsdatum|geboren|welcher tag|welchem tag|geburtstag|wann sind sie geboren",
        email: "e-mail|email|e-mail-adresse|mailadresse|emailadresse|mail",
        spell: "buchstabieren|buchstabiert|buchstaben",
        name: "ihr name|ihren namen|vorname|nachname|vornamen|nachnamen|mit wem spreche|wie heißen",
        short: "wie viele|wie viel|wieviel|wie alt|wie lange|um wie viel uhr|wann|welche|welcher|welches|welche größe",
        several: "welche farben|zurückschicken|fehlt|welche tage|welchen tagen|welche monate|welche artikel|welche produkte|bestellen",
        anything_else: "sonst noch|noch etwas|noch was|weitere fragen|weiterhelfen|anderes",
        story: "wie kann ich|womit kann ich|was kann ich|was ist passiert|erzählen|worum geht|beschreiben|\
            nachricht hinterlassen|wobei kann ich|was ist das problem|was kann ich für sie tun",
    },
    weights: WEIGHTS_OTHER,
};
