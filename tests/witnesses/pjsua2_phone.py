"""A PJSIP phone calls an agent: SDES-SRTP, session timer, hold and resume, UPDATE, a key by RFC 4733 and by INFO, REFER, BYE.

Arguments: the SIP URI to call, and that to which the agent is transferred (none: no transfer). Prints what it has done, one word a line; a failure ends it with a sentence.
"""

import sys
import time

import pjsua2 as pj

DEADLINE_S = 10


class Phone(pj.Call):
    def __init__(self, account):
        super().__init__(account)
        self.states, self.answers, self.transfer = [], [], []

    def onCallState(self, _):
        self.states.append(self.getInfo().state)

    def onCallTsxState(self, event):
        transaction = event.e.body.tsxState.tsx
        # A transaction of INVITE ends with its 2xx, another one is completed before it ends.
        if transaction.role == pj.PJSIP_ROLE_UAC and transaction.state == pj.PJSIP_TSX_STATE_TERMINATED:
            self.answers.append((transaction.method, transaction.statusCode))

    def onCallTransferStatus(self, progress):
        self.transfer.append((progress.statusCode, progress.finalNotify))

    def received(self):
        return self.getStreamStat(0).rtcp.rxStat.pkt


def until(endpoint, what, holds):
    end = time.monotonic() + DEADLINE_S
    while not holds():
        if time.monotonic() > end:
            sys.exit(f"waited in vain for {what}")
        endpoint.libHandleEvents(20)


def main(target, refer_to=None):
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.level = config.logConfig.consoleLevel = 0
    config.medConfig.noVad = True
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.boundAddress = transport.publicAddress = "127.0.0.1"
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    account_config = pj.AccountConfig()
    account_config.idUri = "sip:+15550100@127.0.0.1"
    account_config.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_OPTIONAL
    account_config.mediaConfig.srtpSecureSignaling = 0
    account_config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
    account_config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_ALWAYS
    account_config.callConfig.timerSessExpiresSec = 90
    account = pj.Account()
    account.create(account_config)
    call = Phone(account)
    call.makeCall(target, pj.CallOpParam(True))

    def hears(what):
        before = call.received()
        until(endpoint, what, lambda: call.received() >= before + 25)

    def answered(what, method, count):
        until(endpoint, what, lambda: sum(one == (method, 200) for one in call.answers) >= count)

    until(endpoint, "the answer", lambda: pj.PJSIP_INV_STATE_CONFIRMED in call.states)
    hears("sound")
    print("call")
    before = sum(one == ("INVITE", 200) for one in call.answers)
    call.setHold(pj.CallOpParam(True))
    answered("the answer to the hold", "INVITE", before + 1)
    before = sum(one == ("INVITE", 200) for one in call.answers)
    resume = pj.CallOpParam(True)
    resume.opt.flag = pj.PJSUA_CALL_UNHOLD
    call.reinvite(resume)
    answered("the answer to the resumption", "INVITE", before + 1)
    hears("sound after the hold")
    print("hold")
    call.update(pj.CallOpParam(True))
    answered("the answer to UPDATE", "UPDATE", 1)
    hears("sound after UPDATE")
    print("update")
    key = pj.CallSendDtmfParam()
    key.digits, key.method = "5", pj.PJSUA_DTMF_METHOD_RFC2833
    call.sendDtmf(key)
    key.method = pj.PJSUA_DTMF_METHOD_SIP_INFO
    call.sendDtmf(key)
    answered("the answer to INFO", "INFO", 1)
    print("keys")
    if refer_to:
        # The keys of the media are those of the call, and its end follows on the outcome.
        if "SRTP" in call.dump(True, "") and pj.PJSIP_INV_STATE_DISCONNECTED not in call.states:
            print("srtp")
        call.xfer(refer_to, pj.CallOpParam(True))
        until(endpoint, "the outcome of the transfer", lambda: any(final for _, final in call.transfer))
        statuses = [status for status, _ in call.transfer]
        if statuses[-1] != 200 or any(status < 100 for status in statuses):
            sys.exit(f"the transfer was reported as {statuses}")
        print("transfer")
    if pj.PJSIP_INV_STATE_DISCONNECTED not in call.states:
        call.hangup(pj.CallOpParam(True))
    until(endpoint, "the end", lambda: pj.PJSIP_INV_STATE_DISCONNECTED in call.states)
    print("bye")
    sys.stdout.flush()
    del call
    endpoint.libDestroy()


if __name__ == "__main__":
    main(*sys.argv[1:3])
