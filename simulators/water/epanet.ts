// The part of the EPANET toolkit that the simulator uses, with types of our own: the package's declarations do not resolve under
// Node's module rules. Codes are those of epanet2_enums.h.
import * as library from 'epanet-js'

export const NODE = { baseDemand: 1, emitter: 3, tankLevel: 8, demand: 9, pressure: 11 } as const
export const LINK = { initStatus: 4, initSetting: 5, flow: 8 } as const
/** EN_INITFLOW: start every solution from the same guessed flows. */
export const INIT_FLOW = 10

export interface EpanetModel {
  open(input: string, report: string, binary: string): void
  close(): void
  openH(): void
  closeH(): void
  initH(flag: number): void
  runH(): number
  getNodeIndex(id: string): number
  getLinkIndex(id: string): number
  getNodeValue(index: number, property: number): number
  setNodeValue(index: number, property: number, value: number): void
  getLinkValue(index: number, property: number): number
  setLinkValue(index: number, property: number, value: number): void
}

interface Library {
  Workspace: new () => { loadModule(): Promise<void>; writeFile(name: string, text: string): void }
  Project: new (workspace: unknown) => EpanetModel
}

/** Loads the engine and opens a network given as EPANET input text. @throws Error with EPANET's message when the text is not valid. */
export async function openModel(inp: string): Promise<EpanetModel> {
  const { Workspace, Project } = library as unknown as Library
  const workspace = new Workspace()
  await workspace.loadModule()
  const model = new Project(workspace)
  workspace.writeFile('net.inp', inp)
  model.open('net.inp', 'net.rpt', 'net.bin')
  model.openH()
  return model
}
