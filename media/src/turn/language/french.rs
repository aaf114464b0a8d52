//! French.

use super::table::{Grammar, LanguageTable, Replies, Topics, Values};
use crate::turn::cues::WEIGHTS_OTHER;

pub(super) const TABLE: LanguageTable = LanguageTable {
    grammar: Grammar {
        never_last: "et ou mais donc le la les un une des mon ma mes vos du au aux si quand que qui je j'ai c'est \
            nous leur leurs ses nos notre votre cette ces car lorsque puisque dont parce pendant l' d' chaque \
            quelques ce sa ton ta tes",
        seldom_last: "est sont était suis êtes à de avec pour dans sur chez aussi alors par sans sous entre vers \
            depuis jusqu'à jusque contre selon en ai as a avons avez ont avait peux peut pouvez veux veut voulez \
            voudrais dois doit devez vais va très trop plus moins il elle ils elles on où comment ne d'un d'une \
            qu'il qu'elle qu'on",
        prenominals: "plusieurs autre autres nouveau nouvelle prochain prochaine même propre premier première petit \
            petite grand grande toutes tous",
        needs_object: "voudrais veux cherche cherchais commander changer modifier annuler réserver prendre obtenir \
            avoir donner donne envoyer composez appuyez besoin",
        particles: "de d' pas à pour veuillez bien ne",
        subordinators: "si quand lorsque puisque comme",
        determiners: "le la les un une des mon ma mes votre vos notre nos leur ce cette ces l'",
        subjects: "je j'ai tu il elle on nous vous ils elles",
        fronted: "que",
        finite: "est sont était suis êtes ai as a avons avez ont avait peux peut pouvez pouvons veux veut \
            voulez voudrais dois doit devez vais va allez faut fait fais faites marche fonctionne arrive vient \
            viens dit sais sait savez c'est j'ai n'est n'ai n'a s'est appelle m'appelle habite cherche reçu \
            ferme ouvre étez désirez tentez appartient existe existent reste attendez joint rejoint quitté mets \
            met prends prend voit vois pense crois espère aimerais aimerait pourrais pourrait serait",
        pairs: &[("soit", "soit"), ("entre", "et"), ("ni", "ni")],
        modals: "",
        is_verb_final: false,
        joiners: "et ou",
        question_words: "quoi où quand qui quel quelle quels quelles pourquoi comment combien qu'est-ce que",
        question_verbs: "est-ce êtes-vous avez-vous pouvez-vous voulez-vous puis-je pourriez-vous est-il est-elle y",
        imperatives: "veuillez appuyez composez tapez appelez envoyez donnez faites prenez attendez laissez allez \
            venez cherchez bienvenue merci entrez dites patientez",
    },
    replies: Replies {
        fillers: "euh heu hum hm hmm ben bah",
        answers: "oui|non|d'accord|ok|okay|exactement|c'est ça|c'est exact|oui c'est ça|oui c'est exact|merci|\
            merci beaucoup|au revoir|bonjour|bonsoir|allô|oui allô|oui s'il vous plaît|non merci|oui merci|bien sûr|\
            c'est tout|ce sera tout|non c'est tout|je ne sais pas|je sais pas|stop|parfait|très bien|tout à fait|\
            absolument|pas encore|rien|rien d'autre|pas du tout|si|voilà|pardon|excusez-moi|c'est bon|ça marche|\
            entendu|volontiers|ouais|effectivement|bonne journée",
        affirmations: "oui ouais d'accord ok bon alors bonjour bonsoir allô",
        lead_ins: "oui non ok alors et mais bonjour bon euh",
        request_verbs: "pouvez-vous puis-je pourriez-vous pouvez pourriez",
        holds: "un instant|un instant s'il vous plaît|attendez|attends|attendez un instant|\
            attendez s'il vous plaît|une seconde|une minute|un moment|un moment s'il vous plaît|voyons|\
            voyons voir|je regarde|je vais voir|je cherche|laissez-moi voir|laissez-moi regarder|\
            laissez-moi réfléchir|ne quittez pas|patientez|veuillez patienter|comment dire|je vérifie|\
            deux secondes|deux minutes|je voudrais bien",
    },
    values: Values {
        digits: "zéro un deux trois quatre cinq six sept huit neuf",
        numbers: "dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf vingt trente quarante \
            cinquante soixante soixante-dix quatre-vingt quatre-vingts quatre-vingt-dix",
        multipliers: "double triple cent mille dièse étoile",
        spelling: "anatole berthe célestin désiré eugène françois gaston henri irma joseph kléber louis marcel \
            nicolas oscar pierre quintal raoul suzanne thérèse ursule victor william xavier yvonne zoé accent \
            aigu grave trait apostrophe alfa alpha bravo charlie delta echo foxtrot golf hotel india juliett \
            juliet kilo lima mike november papa quebec romeo sierra tango uniform whiskey yankee zulu",
        address_words: "arobase point tiret plus underscore",
        items: "lundi mardi mercredi jeudi vendredi samedi dimanche aujourd'hui demain premier deuxième troisième \
            quatrième cinquième",
        months: "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        phone_digits: (10, 10),
        postal_digits: (5, 5),
    },
    topics: Topics {
        phone: "numéro de téléphone|téléphone|numéro de portable|numéro de mobile|rappeler|vous joindre",
        number: "numéro|numéro de commande|numéro de client|numéro de compte|code|référence|dossier|facture|chiffres|\
            poste",
        postal: "code postal",
        digit: "chiffre|chiffres",
        date: "date|date de naissance|né|née|quel jour|anniversaire|jour",
        email: "e-mail|email|adresse mail|courriel|mail|adresse électronique",
        spell: "épeler|épelez|lettre par lettre|lettres|s'écrit",
        name: "votre nom|prénom|nom de famille|à qui|vous appelez-vous|qui est à l'appareil",
        short: "combien|quelle heure|quel âge|quand|lequel|laquelle|quelle taille|quelle couleur",
        several: "quels jours|quels mois|quels produits|quels articles|souhaitez-vous commander|commander",
        anything_else: "autre chose|d'autres questions|autre question|encore quelque chose|besoin d'autre",
        story: "comment puis-je|que puis-je|en quoi puis-je|comment est-ce que je peux|que s'est-il|racontez|\
            expliquez|décrivez|laisser un message|votre message|de quoi s'agit|quel est le problème",
    },
    weights: WEIGHTS_OTHER,
};
