// What is wrong, and what to do about it: the report of `GET /doctor`.

import { get } from "../api";
import { translated } from "../errors";
import { t } from "../i18n";
import { useLoad } from "../live";
import { Badge, Button, Card, LoadedView, Page, formatDateTime, useAction } from "../ui";

export interface Finding {
  check: string;
  level: "ok" | "warning" | "error";
  found: string;
  advice: string | null;
}

interface Report {
  level: Finding["level"];
  checked_at: string;
  includes_machine: boolean;
  findings: Finding[];
}

const TONES: Record<Finding["level"], string> = { ok: "good", warning: "wait", error: "bad" };
const WORST_FIRST: Finding["level"][] = ["error", "warning", "ok"];

/** What needs somebody, the worst first and otherwise in the order of the report; and what is well. */
export function sorted(findings: Finding[]): { open: Finding[]; well: Finding[] } {
  const rank = ({ level }: Finding) => WORST_FIRST.indexOf(level);
  const open = findings.filter(({ level }) => level !== "ok").sort((one, other) => rank(one) - rank(other));
  return { open, well: findings.filter(({ level }) => level === "ok") };
}

export function Doctor() {
  const state = useLoad(() => get<Report>("/doctor"), []);
  const { busy, error, run } = useAction();
  const again = () => run(async () => { await get<Report>("/doctor"); state.reload(); });
  return (
    <Page title={t("Health check")} actions={<Button busy={busy || !(state.data || state.error)} onClick={again}>{t("Check again")}</Button>}>
      <p class="soft">{t("Checks provider keys, trunks and webhook receivers. This takes up to twenty seconds; the result is kept for half a minute.")}</p>
      {error && <p class="bad" role="alert">{translated(error.message)}</p>}
      <LoadedView of={state}>
        {(report) => <Findings report={report} />}
      </LoadedView>
    </Page>
  );
}

function Findings({ report }: { report: Report }) {
  const { open, well } = sorted(report.findings);
  return (
    <>
      <p role="status">
        <Badge value={report.level} tone={TONES[report.level]}>{t(`level: ${report.level}`)}</Badge> {t("Checked on")} {formatDateTime(report.checked_at)}
      </p>
      {!report.includes_machine && <p class="soft">{t("The server's machine is not part of this report: its operator runs trunkline doctor there.")}</p>}
      <Card title={t("What needs attention")}>
        {open.length ? <List findings={open} /> : <p class="soft">{t("Nothing: every check has passed.")}</p>}
      </Card>
      {well.length > 0 && (
        <details class="card">
          <summary>{t("Passed")} ({well.length})</summary>
          <List findings={well} />
        </details>
      )}
    </>
  );
}

function List({ findings }: { findings: Finding[] }) {
  return (
    <ul class="findings">
      {findings.map((finding, index) => (
        <li key={index}>
          <span class="actions">
            <Badge value={finding.level} tone={TONES[finding.level]}>{t(`level: ${finding.level}`)}</Badge>
            <strong>{t(`check: ${finding.check}`)}</strong>
          </span>
          <p>{translated(finding.found)}</p>
          {finding.advice && <p class="soft">→ {translated(finding.advice)}</p>}
        </li>
      ))}
    </ul>
  );
}
