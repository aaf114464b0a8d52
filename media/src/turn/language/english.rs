//! English.

use super::table::{Grammar, LanguageTable, Replies, Topics, Values};
use crate::turn::cues::WEIGHTS;

pub(super) const TABLE: LanguageTable = LanguageTable {
    grammar: Grammar {
        never_last: "and or but because the a an my your his its our their we're they're you're i'm i'll i've i'd as \
            nor than whose every",
        seldom_last: "currently otherwise already still even only exactly approximately usually followed \
            located due able going trying supposed according rather also via so is are was were am be been to \
            of with for from in on at by if when while that which who i it's that's he's she's there's what's \
            like about well maybe then into would could should will can must may might have has had not under \
            until between without within during near toward do does did let's just very really some any each \
            either neither both per whether he she we they therefore",
        prenominals: "this these those more many much few several other another new next same own first main \
            different total only little old big such",
        needs_object: "order return report forward accept remove mark record save delete join place call add \
            check confirm update try transfer connect cancel hear know start using accepting trying like need \
            want enter entered press pressed get got give make made take took put bring send sent buy bought \
            book change find found receive received ordered include use used select choose chose dial dialed \
            reach leave schedule reschedule have provide reached exceeded contact tell ask say says",
        particles: "to please not never always just also now only really",
        subordinators: "if when because while although though unless whenever",
        determiners: "the a an my your his her our their this that these those any every no some",
        subjects: "i you he she it we they who",
        fronted: "all everything anything nothing something that what whatever which whom",
        finite: "forgot lost bought paid ordered received sent left moved broke broken ended begin begins began \
            begun follows remain remains exist exists become becomes match matches accept accepts joins joined tried \
            tries knew thought told heard saw called changed happened hope think know guess love agree understand \
            remember believe appreciate thank thanks wish wonder let's needed wanted used couldn't shouldn't hasn't \
            hadn't haven't weren't cannot that'll it'll there'll they'll you'd he'd she'd they'd speaks press enter \
            dial try tell is are was were am be has have had do does did will would can could should may might must \
            isn't aren't wasn't don't doesn't didn't can't won't wouldn't i'm you're we're they're it's that's he's \
            she's there's i've you've we've i'll you'll we'll i'd gets got goes went comes came says said needs \
            wants likes works worked starts started stops stopped keeps kept means meant seems looks expired arrived \
            arrives ends closes opens",
        pairs: &[("either", "or"), ("both", "and"), ("between", "and"), ("whether", "or"), ("neither", "nor")],
        modals: "do does did can could will would shall should may might must don't doesn't didn't can't couldn't won't wouldn't",
        is_verb_final: false,
        joiners: "and or",
        question_words: "what where when who whom whose which why how",
        question_verbs: "is are was were do does did can could will would should may have has shall am isn't aren't \
            don't doesn't didn't can't couldn't won't wouldn't",
        imperatives: "please press enter dial call try say wait hold thank welcome use leave check tell send give \
            make take put let go come look stop start change cancel book connect transfer speak contact choose \
            select remove delete save record type visit",
    },
    replies: Replies {
        fillers: "um uh er erm hmm hm eh ah uhm mm",
        answers: "yes|yeah|yep|yup|no|nope|nah|okay|ok|sure|right|correct|exactly|thanks|thank you|\
            thank you very much|goodbye|bye|bye bye|hello|hi|that's right|that is right|that's correct|\
            that is correct|that's all|that is all|that's all i need|that is all i need|that's everything|that is everything|that's all i wanted|that will be all|that'll be all|that's it|that's fine|that works|of course|not yet|\
            never mind|i don't know|i do not know|i'm not sure|no thank you|no thanks|yes please|stop|\
            absolutely|definitely|perfect|great|not really|i do|i did|i don't|i didn't|yes i do|no i don't|\
            yes it is|no it isn't|it is|it isn't|yes i am|i am|nothing|none|nothing else|no that's all|\
            no that's it|sounds good|good morning|good afternoon|good evening|sorry|pardon|excuse me|yes sir|\
            yes ma'am|all of them|neither|not at all|yes that's right|yes that's correct|yes that is correct|\
            you're welcome|got it|all right|alright|help|good|i think so|i hope so|i guess so|i believe so|\
            i don't think so|if possible|that's what i want|no problem|any time|anytime",
        affirmations: "yes yeah yep yup okay ok sure right well hello hi hey good morning afternoon evening",
        lead_ins: "yes yeah okay ok so well and but oh no sorry actually alright right hello hi",
        request_verbs: "can could may would please",
        holds: "let me see|let me think|let me check|let me look|let me get|let me find|let me look it up|\
            let me have a look|hold on|hang on|one moment|one moment please|just a moment|just a moment please|\
            just a minute|just a second|one second|one minute|one sec|just a sec|wait a minute|wait a moment|\
            wait a second|wait|a moment please|give me a second|give me a moment|give me a minute|bear with me|\
            please wait|please hold|let's see|you know|i mean|hold on a second|hold on please|stand by|i'm looking|\
            i'm checking|let me grab that|let me start over|please hold on|i'll check|i'll have a look|the thing is|\
            so basically|what else|where was i",
    },
    values: Values {
        digits: "zero oh one two three four five six seven eight nine nought niner",
        numbers: "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty \
            forty fifty sixty seventy eighty ninety",
        multipliers: "double triple hundred thousand pound star hash",
        spelling: "alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike \
            november oscar papa quebec romeo sierra tango uniform victor whiskey whisky x-ray xray yankee zulu zed",
        address_words: "at dot dash hyphen underscore slash point plus",
        items: "monday tuesday wednesday thursday friday saturday sunday today tomorrow first second third fourth \
            fifth sixth seventh eighth ninth tenth",
        months: "january february march april may june july august september october november december",
        phone_digits: (10, 11),
        postal_digits: (5, 5),
    },
    topics: Topics {
        phone: "phone number|telephone number|mobile number|cell number|callback number|contact number|call you back|\
            reach you at|best number|mobile|phone|number starting with the area code",
        number: "number|order number|account number|customer number|code|pin|reference|confirmation|extension|\
            passcode|id|social security|policy|serial|tracking|digits|card|invoice",
        postal: "zip code|zip|postal code|postcode|post code",
        digit: "digit|digits",
        date: "date|birthday|born|date of birth|birth date|which day|what day|expiry|expiration",
        email: "email|e-mail|email address|mail address|e-mail address",
        spell: "spell|spelled|spelling|letter by letter|letters",
        name: "your name|full name|first name|last name|surname|family name|who am i speaking|who is this|whom am i",
        short: "how many|how much|how old|how long|what time|when|which one|what size|what color|what colour|which",
        several: "which days|which colors|which colours|what colors|what colours|send back|missing|what days|\
            which months|which dates|which items|which products|what items|like to order|\
            toppings|ingredients|which ones|list",
        anything_else: "anything else|something else|help you with anything|any other|any more questions|\
            further assistance",
        story: "why do you|why did you|why would you|how can i help|how may i help|what can i do|what happened|tell me|describe|explain|\
            how can we help|what is it about|what's it about|what seems|how can i assist|how may i assist|\
            why are you calling|reason for your call|leave a message|your message|what's going on|\
            what is the problem|what's the problem|what's wrong",
    },
    weights: WEIGHTS,
};
