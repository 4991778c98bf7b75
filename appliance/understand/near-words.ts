/**
 * English words one letter from a word of our templates. They mean something else, so they are never corrected:
 * "waiting" is not "writing", a "stitch" is no "switch".
 */
export const NEAR_WORDS: ReadonlySet<string> = new Set(`
abound aground alight anther appeals applies aright arrived awaken awkward backyard bandana bandanas baring bather batters battle battles beading
beaning bearding beating bewaring blaring blight braces braves breading brother burger burned butteries buttery cabled calked calmed calved cancer
chains chance chanced chancel chanted charmed charming charred charring charted charting choirs circlets clanged clouds coarse commandos commend
commends commuter compos compost compote computed computes connecter continua crease cremate culled currant decree decrees deplete derive derives
deriving despatch disarmer diving drivel drivels driven driver drives emergence enrage excise fading faking falter farther fasten fating fatter faxing
fazing feeding felling fester foremast forewarned forged forger forges forgot forwarded foster frieze fringe frontward fueling healing heaping hearth
heaving heeding herding holier holler hordes humidify humility intensify inward itches jacked keeling keening kindle kingly knaves lamest latent laxest
leaded libeled libelled linger loafed loaned locale lockout lodger looming looping loosing looting lorded massage metros minuet minuets mooing moping
motile mowing neatest nether noshing notching novice numbed others outsize packing painted painting paring parring parsing parson parting pastern
patters perking persona phonograph placer plaints plaits planets planks positron prayer printer printing professor racked radial radials raiding railing
reaming reaping rebind recant refuge refute regaining regains regent reheat reining relent remand remote rending repeal resent resolution resolutions
resort retaining retains retort retrain retread revere reveres reverie rewind reword rewords righted rocket roiling routing sating sawing senior
sentenced servile shills shying skulls skying slaying smother snitch snivel snoring sowing spaying spills spokes spying squire starch statue statues
stitch stopped stopper storey storms stowing strive summery swatch swaying swills tablet tablets tamers taster thorough though thrive tigers tilling
timbers toasted toastier toiled toiler tolling tracks tricks trough truces trunks tuning turfing turned turner unblock vesicle wafted waited waiting
wanked wasted wayward wheals wherever whither whiting witching wording worming writhing
`.trim().split(/\s+/))
