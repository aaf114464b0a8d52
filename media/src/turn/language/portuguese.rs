//! Portuguese.

use super::table::{Grammar, LanguageTable, Replies, Topics, Values};
use crate::turn::cues::WEIGHTS_OTHER;

pub(super) const TABLE: LanguageTable = LanguageTable {
    grammar: Grammar {
        never_last: "e ou mas porque o a os as um uma uns umas meu minha meus minhas seu sua seus suas nosso nossa \
            se quando que do da dos das ao à aos no na nos nas pelo pela num numa embora enquanto cada nem cujo pois",
        seldom_last: "é são era sou está estão estou de com para por em sobre entre até desde sem contra tenho tem \
            têm posso pode quero quer queria preciso devo deve vou vai muito mais como também então eu ele ela nós \
            eles foi ser me lhe não esse essa este esta isso onde quem",
        prenominals: "outro outra outros outras novo nova próximo próxima mesmo mesma próprio primeiro primeira \
            muitos muitas vários todos todas",
        needs_object: "quero queria gostaria preciso procuro pedir mudar cancelar reservar fazer comprar tomar ter \
            dar digite pressione enviar insira",
        particles: "a de que não para por me",
        subordinators: "se quando porque enquanto embora como caso",
        determiners: "o a os as um uma meu minha seu sua nosso nossa este esta esse essa",
        subjects: "eu tu você ele ela nós vocês eles elas",
        fronted: "que",
        finite: "é são era sou está estão estou tenho tem têm posso pode podem quero quer queria gostaria \
            preciso devo deve vou vai foi funciona chega chegou chamo chama vem sei sabe diz custa moro mora \
            parece falta fecha abre começa há recebi mudei continuo tocou cheguei cai veio prefiro gosto acho \
            espero seria poderia faz fez passou sai saiu entrei liguei paguei comprei esqueci perdi funcionava \
            existe existem \
            comprou recebeu pedi pediu mandei mandou enviei enviou ligo liga ligou estava estavam tinha tinham fui \
            fomos vi viu disse disseram entendi entendo entendeu caiu fica fico ficou uso usa usei usou mudou \
            funcionou esperei pago paga pagou trabalho trabalha conheço lembro lembra apareceu aparece deu dá dou \
            deixei deixou tento tentei tentou consigo consegue consegui conseguiu precisa precisamos precisava temos \
            estamos somos vamos podemos vêm falei falou falo marquei cancelei troquei quebrou parou acabou terminou \
            começou abriu fechou sumiu chegaram vieram queremos quis gostei gosta moramos encontrei encontrou",
        pairs: &[("entre", "e"), ("tanto", "quanto"), ("nem", "nem")],
        modals: "",
        is_verb_final: false,
        joiners: "e ou",
        question_words: "quê onde quando quem qual quais como quanto quanta quantos quantas porquê",
        question_verbs: "é está pode posso tem há poderia",
        imperatives: "por digite pressione disque ligue envie dê faça tome espere deixe vá venha procure bem-vindo \
            obrigado insira diga favor",
    },
    replies: Replies {
        fillers: "eh ahn hã hum é... hm tipo",
        answers: "sim|não|tá|tá bom|tudo bem|ok|okay|claro|certo|exato|exatamente|isso|isso mesmo|sim isso mesmo|\
            correto|está correto|obrigado|obrigada|muito obrigado|muito obrigada|tchau|adeus|olá|oi|alô|bom dia|\
            boa tarde|boa noite|sim por favor|não obrigado|não obrigada|com certeza|é só isso|só isso|é tudo|\
            não é só isso|mais nada|não sei|ainda não|perfeito|muito bem|está bem|pode ser|nada|de jeito nenhum|\
            desculpe|beleza|pare|pronto|estou sim",
        affirmations: "sim tá claro ok certo bom olá oi dia boa tarde noite alô",
        lead_ins: "sim não ok então e mas olá bom",
        request_verbs: "pode poderia posso me",
        holds: "um momento|um momento por favor|espere|espera|espere um pouco|espera aí|só um momento|só um minuto|\
            um segundo|só um segundo|um instante|um minuto|deixa eu ver|deixe-me ver|deixe eu ver|deixa ver|\
            vamos ver|aguarde|aguarde um momento|vou ver|vou verificar|estou procurando|como se diz|um momentinho|\
            só um instante|peraí",
    },
    values: Values {
        digits: "zero um dois três quatro cinco seis sete oito nove meia uma duas",
        numbers: "dez onze doze treze catorze quatorze quinze dezesseis dezasseis dezessete dezassete dezoito \
            dezenove dezanove vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
        multipliers: "duplo triplo cem cento mil cardinal jogo asterisco sustenido",
        spelling: "efe agá jota cá ele eme ene erre esse xis zê dáblio ípsilon maiúsculo minúsculo alfa alpha \
            bravo charlie delta echo foxtrot golf hotel india juliett juliet kilo lima mike november oscar papa \
            quebec romeo sierra tango uniform victor whiskey yankee zulu",
        address_words: "arroba ponto hífen traço plus",
        items: "segunda terça quarta quinta sexta sábado domingo hoje amanhã primeiro segundo terceiro quarto \
            quinto segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sabado terca",
        months: "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        phone_digits: (9, 11),
        postal_digits: (8, 8),
    },
    topics: Topics {
        phone: "número de telefone|telefone|celular|telemóvel|retornar|número de contato",
        number: "número|número do pedido|número de cliente|número da conta|código|senha|referência|fatura|dígitos|\
            ramal|cpf|nif",
        postal: "código postal|cep",
        digit: "dígito|dígitos|algarismos",
        date: "data|data de nascimento|nasceu|que dia|qual dia|aniversário",
        email: "e-mail|email|correio eletrônico|correio eletrónico|endereço de email",
        spell: "soletrar|soletre|letra por letra|letras",
        name: "seu nome|sobrenome|apelido|nome completo|com quem falo|como se chama|qual é o nome",
        short: "quantos|quantas|quanto|que horas|qual a idade|quando|qual|que tamanho|que cor",
        several: "quais dias|que cores|quais cores|devolver|faltando|que dias|quais meses|que meses|quais produtos|pedir",
        anything_else: "mais alguma|algo mais|outra coisa|mais perguntas|mais alguma coisa",
        story: "como posso|em que posso|no que posso|o que aconteceu|conte|explique|descreva|\
            deixar uma mensagem|deixar um recado|sua mensagem|do que se trata|qual é o problema|\
            o que posso fazer",
    },
    weights: WEIGHTS_OTHER,
};
