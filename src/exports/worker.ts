/**
 * The script of a Worker in which `inWorker()` of scrimp makes its calls. It exports nothing: importing it is all that
 * the Worker's script has to do.
 *
 * @module
 */
import { serve } from "../api/serve.ts";

serve();
