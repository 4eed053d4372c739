// Following a feed: short polls, each answered with 304 while nothing has changed.

const PERIOD = 2000;
const SHARE = 10; // what took long is done again after so many times as long, so that a page takes little of a server
const LONGEST = 10000;

class Unreachable extends Error {}

/** For `catch` of what is asked for within `follow`, where it is asked again. */
export function unreachable() {
  throw new Unreachable();
}

/** Why data did not come, as part of a sentence: `answer` is the server's, or null where it gave none. */
export async function trouble(answer) {
  if (!answer) return "the server does not answer; reload the page once it runs again";
  if (answer.status === 401) return "you are signed out; reload the page to sign in";
  return (await answer.json().catch(() => null))?.error ?? `the server answered ${answer.status}`;
}

/**
 * Call `show(data)` with a feed's data now and whenever they change, until `data.live` is false.
 *
 * What `show` does is part of what an update takes; where it finds the server `unreachable`, it is called again. A tab that nobody looks at does not ask. What goes wrong is said in `status`, an element with role="status".
 */
export async function follow(address, show, status) {
  let tag = null, wait = PERIOD;
  for (;;) {
    let live = true;
    const asked = performance.now();
    try {
      const answer = await fetch(address, { headers: { accept: "application/json", ...(tag && { "if-none-match": tag }) }, cache: "no-store" }).catch(unreachable);
      if (answer.status === 200) {
        const data = await answer.json().catch(unreachable);
        await show(data);
        tag = answer.headers.get("etag");
        live = data.live;
      } else if (answer.status !== 304) {
        status.textContent = `This is no longer brought up to date: ${await trouble(answer)}.`;
        return;
      }
      status.textContent = "";
      wait = Math.min(LONGEST, Math.max(PERIOD, SHARE * (performance.now() - asked)));
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      status.textContent = "The server does not answer; it is asked again. It may need to be started: make serve.";
      wait = Math.min(wait * 2, 30000);
    }
    if (!live) return;
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}
