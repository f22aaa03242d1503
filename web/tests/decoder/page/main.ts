import { createDecoder } from "../../../src/decoder/client";

/** The decoder without the studio around it, for tests in a browser. */
Object.assign(window, { createDecoder });
