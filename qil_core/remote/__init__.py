"""ComfyUI servers spoken to from outside: a workflow run with many inputs on one server or several.

The order of the work, and where it is:

1. `workflow`: a workflow file in the API form, its nodes by id or title. `schema`: what a node's inputs take.
2. `jobs`: the values, files and lists of the command line become jobs, each with a key made of all that decides its
   result.
3. `server`: one ComfyUI: `web` sends requests and tries again, `events` listens for progress, `prompt` queues a graph
   once and waits until the history has it.
4. `pool`: jobs over several servers; a server that goes away gives its jobs back.
5. `outputs` fetches the files of a finished job, `record` writes the manifest and reads it when a run goes on.
"""
