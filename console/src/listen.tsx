// Listening to a call that goes on: a connection that only receives. The caller hears nothing of it.

import { useEffect, useRef, useState } from "preact/hooks";
import { post } from "./api";
import { t } from "./i18n";
import { Button, Card, ErrorMessage, useAction } from "./ui";

export function ListenIn({ call }: { call: string }) {
  const [listening, setListening] = useState(false);
  const { busy, error, run } = useAction();
  const peer = useRef<RTCPeerConnection | null>(null);
  const audio = useRef<HTMLAudioElement>(null);
  const stop = () => {
    peer.current?.close();
    peer.current = null;
    setListening(false);
  };
  useEffect(() => stop, []);
  const start = async () => {
    const made = new RTCPeerConnection();
    peer.current = made;
    made.addTransceiver("audio", { direction: "recvonly" });
    made.addEventListener("track", ({ track }) => {
      if (!audio.current) return;
      audio.current.srcObject = new MediaStream([track]);
      void audio.current.play();
    });
    made.addEventListener("connectionstatechange", () => {
      if (["failed", "closed", "disconnected"].includes(made.connectionState) && peer.current === made) stop();
    });
    try {
      await made.setLocalDescription(await made.createOffer());
      const { sdp } = await post<{ sdp: string }>(`/calls/${call}/listen`, { sdp: made.localDescription?.sdp });
      // Somebody has left the page meanwhile.
      if (peer.current !== made) return made.close();
      await made.setRemoteDescription({ type: "answer", sdp });
      setListening(true);
    } catch (failure) {
      stop();
      throw failure;
    }
  };
  return (
    <Card title={t("Listen in")} wide actions={listening ? <Button onClick={stop}>{t("Stop listening")}</Button> : <Button busy={busy} onClick={() => run(start)}>{t("Listen")}</Button>}>
      <p role="status" class="soft">{listening ? t("You hear both sides. The caller does not hear you.") : t("You hear both sides, and nobody hears you. The audit log notes that you listened.")}</p>
      <audio ref={audio} class="unseen" aria-hidden="true" />
      <ErrorMessage error={error} />
    </Card>
  );
}
