// The gateway: JSON by GET and POST, and server-sent events by fetch, since EventSource can't send a key.

const KEY = 'clusternet-key';
let report = () => {};

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Told 'live' or 'lost' as answers come or do not. */
export function onConnection(listener) {
  report = listener;
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: value => value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY),
};

function headers(more = {}) {
  const given = key.get();
  return given ? {...more, authorization: `Bearer ${given}`} : more;
}

async function send(path, options) {
  let response;
  try {
    response = await fetch(path, {...options, cache: 'no-store', headers: headers(options?.headers)});
  } catch (error) {
    if (error.name !== 'AbortError') report('lost');
    throw error;
  }
  report('live');
  if (response.ok) return response;
  let message = `${response.status} ${response.statusText}`;
  try {
    message = (await response.json()).error ?? message;
  } catch { /* the status says enough */ }
  throw new ApiError(response.status, message);
}

export const get = async (path, signal) => (await send(path, {signal})).json();

export const post = async (path, body, signal) =>
  (await send(path, {method: 'POST', signal, headers: {'content-type': 'application/json'}, body: JSON.stringify(body)})).json();

/** Events as they come: {id, event, data}. Ends when the server ends it or the signal fires. */
export async function* events(path, signal, lastId) {
  const response = await send(path, {signal, headers: {accept: 'text/event-stream', ...(lastId ? {'last-event-id': lastId} : {})}});
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return;
      text += value;
      let end;
      while ((end = text.indexOf('\n\n')) >= 0) {
        const event = {event: 'message', data: ''};
        for (const line of text.slice(0, end).split('\n')) {
          const colon = line.indexOf(':');
          if (colon <= 0) continue;
          const content = line.slice(colon + 1).replace(/^ /, '');
          if (line.startsWith('data')) event.data += content;
          else event[line.slice(0, colon)] = content;
        }
        text = text.slice(end + 2);
        if (event.data) yield {...event, data: JSON.parse(event.data)};
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Does something at once and then again and again until the signal fires, slower while nobody looks. */
export function repeat(task, milliseconds, signal) {
  (async () => {
    while (!signal.aborted) {
      try {
        await task();
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ApiError) && !(error instanceof TypeError) && error.name !== 'AbortError') console.error(error);
      }
      await pause(document.hidden ? 5 * milliseconds : milliseconds, signal);
    }
  })();
}

export const pause = (milliseconds, signal) => new Promise(done => {
  const timer = setTimeout(done, milliseconds);
  signal?.addEventListener('abort', () => { clearTimeout(timer); done(); }, {once: true});
});
