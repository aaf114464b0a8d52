"""The vendors' own SDKs as clients of the emulator: python sdks.py BASE_URL FOLDER_OF_PHRASES

What they accept without complaint is the vendors' protocol as the vendors read it. Prints one line for each
SDK; anything else is a failure.
"""

import base64
import json
import sys
import threading
import time
import wave

BASE, PHRASES = sys.argv[1], sys.argv[2]
WS = BASE.replace("http", "ws", 1)
PHRASE = "opening_hours"
WORDS = "What are your opening hours?"
ANSWER = "We are open from nine to five"


def samples(name):
    with wave.open(f"{PHRASES}/{name}.wav") as file:
        return file.readframes(file.getnframes()) + bytes(16000)


def mulaw(pcm):
    """G.711, by its definition."""
    out = bytearray()
    for at in range(0, len(pcm), 2):
        value = int.from_bytes(pcm[at : at + 2], "little", signed=True)
        sign, value = (0x80, -value) if value < 0 else (0, value)
        value = min(value, 32635) + 132
        exponent = value.bit_length() - 8
        out.append(~(sign | exponent << 4 | value >> (exponent + 3) & 0xF) & 0xFF)
    return bytes(out)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def openai_sdk():
    from openai import AuthenticationError, OpenAI, RateLimitError

    client = OpenAI(base_url=f"{BASE}/v1", websocket_base_url=f"{WS}/v1", api_key="k", max_retries=0)
    tools = [{"type": "function", "function": {"name": "end_call", "parameters": {"type": "object"}}}]
    with client.chat.completions.stream(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "goodbye"}],
        tools=tools,
        stream_options={"include_usage": True},
    ) as stream:
        final = stream.until_done().get_final_completion()
    check(final.choices[0].message.tool_calls[0].function.name == "end_call", "openai: no tool call")
    check(final.usage.prompt_tokens_details.cached_tokens == 4, "openai: no usage")
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Hello there.", response_format="pcm"
    ) as speech:
        check(sum(len(part) for part in speech.iter_bytes()) > 20000, "openai: no speech")
    try:
        OpenAI(base_url=f"{BASE}/v1", api_key="invalid", max_retries=0).models.list()
        check(False, "openai: any key will do")
    except AuthenticationError:
        pass
    with client.realtime.connect(model="gpt-realtime-2.1") as connection:
        audio = {"format": {"type": "audio/pcmu"}}
        detection = {"type": "server_vad", "silence_duration_ms": 300}
        connection.session.update(
            session={"type": "realtime", "audio": {"input": {**audio, "turn_detection": detection}, "output": audio}}
        )
        codes = mulaw(samples(PHRASE))
        for at in range(0, len(codes), 1600):
            connection.input_audio_buffer.append(audio=base64.b64encode(codes[at : at + 1600]).decode())
        heard, said, sound = None, "", 0
        for event in connection:
            if event.type == "conversation.item.input_audio_transcription.completed":
                heard = event.transcript
            elif event.type == "response.output_audio_transcript.done":
                said = event.transcript
            elif event.type == "response.output_audio.delta":
                sound += len(base64.b64decode(event.delta))
            elif event.type == "response.done":
                check(event.response.status == "completed", f"openai: {event.response.status}")
                break
            check(event.type != "error", f"openai: {event}")
    check(heard == WORDS and said.startswith(ANSWER) and sound > 8000, f"openai: {heard!r} {said!r} {sound}")


def anthropic_sdk():
    from anthropic import Anthropic, BadRequestError

    client = Anthropic(base_url=f"{BASE}/anthropic", api_key="k", max_retries=0)
    with client.messages.stream(
        model="claude-haiku-5-5",
        max_tokens=100,
        messages=[{"role": "user", "content": "goodbye"}],
        tools=[{"name": "end_call", "input_schema": {"type": "object", "properties": {}}}],
    ) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    check(text == "You're welcome. Goodbye!", f"anthropic: {text!r}")
    check(message.stop_reason == "tool_use" and message.content[-1].name == "end_call", f"anthropic: {message}")
    whole = client.messages.create(
        model="claude-haiku-5-5", max_tokens=100, messages=[{"role": "user", "content": "are you open"}]
    )
    check(whole.content[0].text.startswith(ANSWER), f"anthropic: {whole}")
    try:
        client.messages.create(model="m", max_tokens=9, messages=[{"role": "assistant", "content": "x"}])
        check(False, "anthropic: an assistant may begin")
    except BadRequestError:
        pass


def deepgram_sdk():
    from deepgram import DeepgramClient
    from deepgram.environment import DeepgramClientEnvironment

    where = DeepgramClientEnvironment(base=BASE, production=WS, agent=WS, agent_rest=BASE)
    client = DeepgramClient(api_key="k", environment=where)
    pcm = samples(PHRASE)
    options = {"model": "nova-3", "encoding": "linear16", "sample_rate": 8000, "endpointing": 300}
    with client.listen.v1.connect(**options) as connection:
        for at in range(0, len(pcm), 1600):
            connection.send_media(pcm[at : at + 1600])
        connection.send_close_stream()
        heard = [m for m in connection if m.type == "Results" and m.is_final]
    words = [m.channel.alternatives[0].transcript for m in heard]
    check(WORDS in words, f"deepgram: {words}")
    with client.listen.v2.connect(model="flux-general-en", encoding="linear16", sample_rate=8000) as connection:
        for at in range(0, len(pcm), 1280):
            connection.send_media(pcm[at : at + 1280])
        connection.send_close_stream()
        turns = [m for m in connection if m.type == "TurnInfo"]
    events = [m.event for m in turns]
    check(events[0] == "StartOfTurn" and events[-1] == "EndOfTurn", f"flux: {events}")
    check(turns[-1].transcript == WORDS, f"flux: {turns[-1].transcript}")


def elevenlabs_sdk():
    from elevenlabs.client import ElevenLabs
    from elevenlabs.conversational_ai.conversation import AudioInterface, Conversation

    client = ElevenLabs(base_url=BASE, api_key="k")
    audio = b"".join(client.text_to_speech.stream("v", text="Hello there.", output_format="ulaw_8000"))
    check(len(audio) > 4000, f"elevenlabs: {len(audio)} bytes")
    client.text_to_speech._ws_base_url = BASE  # it takes TLS for granted here
    spoken = client.text_to_speech.convert_realtime(
        "v", text=iter(["Hello there. ", "How are you? "]), model_id="eleven_flash_v2_5", output_format="ulaw_8000"
    )
    check(len(b"".join(spoken)) > 8000, "elevenlabs: nothing over the socket")
    conversation = client.conversational_ai.conversations.get("conv_1")
    check(conversation.transcript[0].message.startswith("Good afternoon"), f"elevenlabs: {conversation}")

    class Line(AudioInterface):
        def __init__(self):
            self.heard = 0

        def start(self, input_callback):
            self.input_callback = input_callback

        def stop(self):
            pass

        def output(self, audio):
            self.heard += len(audio)

        def interrupt(self):
            pass

    line, agent, user = Line(), [], []
    talk = Conversation(
        client,
        "agent_1",
        requires_auth=False,
        audio_interface=line,
        callback_agent_response=agent.append,
        callback_user_transcript=user.append,
    )
    talk.start_session()
    wait(lambda: agent and line.heard > 4000, "elevenlabs: no greeting")
    time.sleep(1)  # until the greeting has come: the emulated agent sends it in its time
    codes = mulaw(samples(PHRASE))
    for at in range(0, len(codes), 1600):
        line.input_callback(codes[at : at + 1600])
    wait(lambda: user and len(agent) > 1, "elevenlabs: no answer")
    talk.end_session()
    talk.wait_for_session_end()
    check(user == [WORDS] and agent[1].startswith(ANSWER), f"elevenlabs: {user} {agent}")


def wait(condition, what):
    deadline = time.time() + 15
    while not condition():
        check(time.time() < deadline, what)
        time.sleep(0.02)


def cartesia_sdk():
    from cartesia import Cartesia

    client = Cartesia(base_url=f"{BASE}/cartesia", websocket_base_url=f"{WS}/cartesia", api_key="k")
    with client.tts.websocket_connect() as connection:
        context = connection.context(
            model_id="sonic-3.5",
            voice={"mode": "id", "id": "v"},
            output_format={"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
            add_timestamps=True,
        )
        context.push("Hello there.")
        context.no_more_inputs()
        sound, words = 0, []
        for event in context.receive():
            check(event.type != "error", f"cartesia: {event}")
            if event.type == "chunk":
                sound += len(event.audio or b"")
            elif event.type == "timestamps":
                words += event.word_timestamps.words
    check(sound > 4000 and words == ["Hello", "there."], f"cartesia: {sound} {words}")


for sdk in (openai_sdk, anthropic_sdk, deepgram_sdk, elevenlabs_sdk, cartesia_sdk):
    finished = []
    # Nothing hangs: a socket that says nothing fails here.
    thread = threading.Thread(target=lambda: (sdk(), finished.append(True)), daemon=True)
    thread.start()
    thread.join(40)
    check(finished, f"{sdk.__name__} did not finish")
    print(sdk.__name__, flush=True)
